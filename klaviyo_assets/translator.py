"""From a catalogue entry to an asset spec: the one hook that users override."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from klaviyo_assets.catalog.model import ResourceType


@dataclass(frozen=True)
class KlaviyoTranslator:
    """Makes the :class:`dagster.AssetSpec` of a resource type.

    Subclass it and override :meth:`get_asset_spec` to change keys, groups, descriptions or anything else.

    Args:
        key_prefix: Prefix of the asset keys.
        group_name: Asset group.
        schema: DuckDB schema of the tables.
        owners: E-mail addresses or ``team:name``.
        tags: Tags of all assets.
        io_manager_key: IO manager that loads the tables for downstream assets.

    Example:
        >>> class Shouting(KlaviyoTranslator):
        ...     def get_asset_spec(self, entry):
        ...         return super().get_asset_spec(entry).replace_attributes(group_name=entry.name.upper())
    """

    key_prefix: Sequence[str] = ("klaviyo",)
    group_name: str = "klaviyo"
    schema: str = "klaviyo"
    owners: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    io_manager_key: str = "klaviyo_frames"

    def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
        """Return the spec of a resource type's asset."""
        spec = dg.AssetSpec(
            key=dg.AssetKey([*self.key_prefix, entry.name]),
            description=f"{entry.description}\n\nScope: `{entry.scope}`. [Klaviyo's documentation]({entry.docs_url})",
            group_name=self.group_name,
            owners=list(self.owners),
            tags=dict(self.tags),
            kinds={"klaviyo", "duckdb"},
            # An asset whose optional scope is missing is skipped, and so is a scheduled sync that finds another one at work.
            skippable=True,
            metadata={
                "dagster/table_name": f"{self.schema}.{entry.name}",
                "dagster/storage_kind": "duckdb",
                "dagster/column_schema": column_schema(entry),
                "klaviyo/endpoint": entry.endpoint.path,
                "klaviyo/scope": entry.scope,
            },
        )
        return spec.with_io_manager_key(self.io_manager_key)


def column_schema(entry: ResourceType) -> dg.TableSchema:
    """Return the entry's columns for Dagster's UI."""
    columns = [
        dg.TableColumn(
            column.name,
            str(column.type),
            column.description,
            constraints=dg.TableColumnConstraints(nullable=column.name != entry.primary_key, unique=column.name == entry.primary_key),
            tags={"personal": ""} if column.personal else {},
        )
        for column in entry.columns
    ]
    own = [
        dg.TableColumn("_extra", "JSON", "Attributes that the catalogue does not know; null when there are none."),
        dg.TableColumn("_synced_at", "TIMESTAMP WITH TIME ZONE", "When the present content was read."),
        dg.TableColumn("_deleted_at", "TIMESTAMP WITH TIME ZONE", "When the record was found to be gone; null while it exists."),
    ]
    return dg.TableSchema([*columns, *own])
