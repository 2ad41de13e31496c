"""Checks of the roles that single types of this package have: what other code reads of a type with such a role must be there."""

from collections.abc import Mapping

from klaviyo_assets.catalog.column_checks import Problems, missing
from klaviyo_assets.catalog.columns import ColumnType
from klaviyo_assets.catalog.resource_type import ResourceType

ROLES = ("identifies_account", "names_metrics", "has_metric_views", "partitioned")
"""Fields of :class:`ResourceType` that one type of this package sets. A type from outside sets them only if it replaces that one."""

_READ_COLUMNS: Mapping[str, Mapping[str, ColumnType]] = {
    "identifies_account": {"id": ColumnType.STRING},
    "names_metrics": {"id": ColumnType.STRING, "name": ColumnType.STRING, "created": ColumnType.TIMESTAMP, "integration": ColumnType.JSON},
    "has_metric_views": {
        "id": ColumnType.STRING,
        "datetime": ColumnType.TIMESTAMP,
        "profile_id": ColumnType.STRING,
        "metric_id": ColumnType.STRING,
        "event_properties": ColumnType.JSON,
    },
}
"""Columns that must be there, by role."""


def role_problems(entry: ResourceType) -> Problems:
    """Yield what a type lacks for its roles."""
    for role, columns in _READ_COLUMNS.items():
        if getattr(entry, role):
            for name, kind in columns.items():
                yield from missing(entry, role, name, kind)


def role_of_another(entry: ResourceType, catalog: Mapping[str, ResourceType]) -> tuple[str, str] | None:
    """Return a role that a type has and a type with another name is meant to have, and that type's name; None if there is none.

    Args:
        entry: The type.
        catalog: The types of this package.
    """
    for role in ROLES:
        if getattr(entry, role) and not getattr(catalog.get(entry.name), role, False):
            return role, next(name for name, other in catalog.items() if getattr(other, role))
    return None
