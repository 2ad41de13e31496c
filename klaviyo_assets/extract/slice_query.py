"""The query parameters of a slice's first page. Pure."""

from datetime import datetime, timedelta

from klaviyo_assets.api.filters import all_of, any_of, compare, equals
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.chain_position import CURSOR
from klaviyo_assets.extract.slices import AnySlice, ParentGroupSlice, Slice, SubsetSlice
from klaviyo_assets.state.child_parts import END
from klaviyo_assets.state.coverage import BEGINNING

_SECOND = timedelta(seconds=1)


def slice_parameters(entry: ResourceType, slice_: AnySlice) -> dict[str, str]:
    """Return the query parameters of a slice's first page.

    If the endpoint has only strict operators, the bounds are a second wider, because records equal to a bound would be lost; the reader then drops
    the records outside of the slice.
    """
    parameters = dict(entry.page_parameters)
    filters = list(slice_.subset.filters)
    sort = "id" if "id" in entry.endpoint.sorts else entry.replication.order
    descending = False
    match slice_:
        case Slice():
            sort, descending = slice_.field, slice_.descending
            filters += _bounds(entry, slice_.field, slice_.start, slice_.end)
        case SubsetSlice():
            descending = slice_.descending
        case ParentGroupSlice():
            filters += _of_parents(entry, slice_)
    if sort is not None:
        parameters["sort"] = f"-{sort}" if descending else sort
    if slice_.continues_at is not None:
        parameters[CURSOR] = slice_.continues_at.cursor
    if filters:
        parameters["filter"] = all_of(*filters)
    return parameters


def _of_parents(entry: ResourceType, slice_: ParentGroupSlice) -> list[str]:
    groups, field, part = entry.required_groups, entry.required_parent_filter, slice_.part
    filters = [equals(field, slice_.parents[0]) if len(slice_.parents) == 1 else any_of(field, slice_.parents)]
    if part.state is not None:
        filters.append(equals(groups.state, part.state))
    return filters + _bounds(entry, groups.cut_by, part.window.start, None if part.window.end == END else part.window.end)


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
