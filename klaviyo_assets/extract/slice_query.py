"""The query parameters of a slice's first page. Pure."""

from datetime import datetime, timedelta

from klaviyo_assets.api.filters import all_of, compare
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.slices import AnySlice, Slice
from klaviyo_assets.state.coverage import BEGINNING

_SECOND = timedelta(seconds=1)


def slice_parameters(entry: ResourceType, part: AnySlice) -> dict[str, str]:
    """Return the query parameters of a slice's first page.

    Where the endpoint has only strict operators the bounds are a second wider, since rows equal to the bound would be lost; the records outside are
    cut away by their own value.
    """
    parameters = dict(entry.page_parameters)
    filters = list(part.division.filters)
    if not isinstance(part, Slice):
        if "id" in entry.endpoint.sorts:
            parameters["sort"] = "id"
    else:
        parameters["sort"] = f"-{part.field}" if part.descending else part.field
        filters += _bounds(entry, part.field, part.start, part.end)
    if filters:
        parameters["filter"] = all_of(*filters)
    return parameters


def _bounds(entry: ResourceType, field: str, start: datetime, end: datetime | None) -> list[str]:
    allows = entry.endpoint.allows
    bounds = []
    if start > BEGINNING + _SECOND:
        if allows(field, "greater-or-equal"):
            bounds.append(compare("greater-or-equal", field, start))
        elif allows(field, "greater-than"):
            bounds.append(compare("greater-than", field, start - _SECOND))
    if end is not None:
        if allows(field, "less-than"):
            strict_only = not allows(field, "less-or-equal")
            bounds.append(compare("less-than", field, end + _SECOND if strict_only else end))
        elif allows(field, "less-or-equal"):
            bounds.append(compare("less-or-equal", field, end))
    return bounds
