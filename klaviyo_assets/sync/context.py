"""The context that the steps of one sync share."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.feed import Feed
from klaviyo_assets.extract.metric_selection import EVERY_METRIC, MetricSelection
from klaviyo_assets.extract.strategies import Strategy, strategy_for
from klaviyo_assets.extract.strategies.strategy import Completion
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.state.sync_log import SyncLogEntry


@dataclass
class SyncContext:
    """The context that the steps of one sync share.

    Args:
        entry: The resource type.
        options: The options of the sync.
        client: The client, open.
        loader: The sync's access to the database.
        row: The sync's row of ``_syncs``.
        log: Receives progress messages.
        fingerprint: Fingerprint of the options, columns and field rules.
        parent_failed: True if the sync of the parent type failed just before.
        selection: The metrics that are selected.
        feeds: Types that take their records from this sync's responses.
        feed: The responses of the host's sync, for a type that takes its records from them.
        catalog: All resource types in use.

    Attributes:
        notes: Messages for the user.
    """

    entry: ResourceType
    options: SyncOptions
    client: KlaviyoClient
    loader: Loader
    row: SyncLogEntry
    log: logging.Logger
    fingerprint: str
    parent_failed: bool = False
    selection: MetricSelection = EVERY_METRIC
    feeds: Sequence[Feed] = ()
    feed: Feed | None = None
    catalog: Catalog = field(default_factory=lambda: CATALOG)
    notes: list[str] = field(default_factory=list)

    @cached_property
    def strategy(self) -> Strategy:
        """The strategy of the resource type's replication."""
        return strategy_for(self.entry)

    @property
    def completion(self) -> Completion:
        """How the sync ends."""
        return self.strategy.completion(self.options.mode)

    def refuses_empty(self, known: int) -> bool:
        """Return whether a response without any record marks nothing, and note it: a failing endpoint may look like an empty collection.

        A ``full`` sync accepts it.

        Args:
            known: Number of rows that would be marked as deleted.
        """
        if self.options.mode is SyncMode.full:
            return False
        self.note(
            f"Klaviyo returned no {self.entry.name} at all, though {known} are known: none was marked as deleted. "
            "If all of them were deleted in Klaviyo, run this sync once with the mode full."
        )
        return True

    @property
    def requested_from(self) -> datetime | None:
        """The user's start date, if the resource type supports it."""
        return self.options.start_date if self.entry.replication.start_date_field else None

    def note(self, text: str) -> None:
        """Log a message for the user, and keep it for the report."""
        self.notes.append(text)
        self.log.warning(text)

    def record_traffic(self, records_read: int | None = None) -> None:
        """Update the sync's row of ``_syncs`` with the client's traffic."""
        traffic, row = self.client.traffic, self.row
        row.requests, row.bytes, row.throttled = traffic.requests, traffic.bytes, traffic.throttled
        row.seconds_waited = round(self.client.seconds_waited, 3)
        if records_read is not None:
            row.records_read = records_read
