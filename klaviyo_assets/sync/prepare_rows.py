"""Prepares the rows that a sync has read: removes those that must not be stored, then applies the field rules."""

from dataclasses import dataclass

import polars as pl

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.metric_selection import MetricSelection
from klaviyo_assets.privacy.apply import FieldRuleSet
from klaviyo_assets.state.tombstones import without_erased


@dataclass(frozen=True)
class RowPreparation:
    """What happens to new rows before they are written to a file, and so before anything of them is stored.

    Args:
        entry: The resource type.
        selection: The metrics that are selected; rows of other metrics are removed.
        erased: Hashes of the ids of erased people; their rows (by ``ResourceType.profile_column``) are removed.
        field_rules: Drop or hash values of the rows that remain.
    """

    entry: ResourceType
    selection: MetricSelection
    erased: frozenset[str]
    field_rules: FieldRuleSet

    def prepare(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows to store.

        Args:
            frame: The rows of some pages, with the columns of :func:`klaviyo_assets.decode.polars_schema.frame_schema`.
        """
        entry = self.entry
        if entry.metric_filter is not None:
            frame = self.selection.keep(frame, entry.metric_filter)
        frame = without_erased(frame, entry.profile_column, entry.primary_key, self.erased)
        return self.field_rules.apply(frame)
