"""The bookkeeping tables of the marts, in the marts' own schema."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from klaviyo_assets.marts.model import Scope
from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.warehouse.ddl import INSTANT, Columns


@dataclass(frozen=True)
class Built:
    """How a model's table was built.

    Attributes:
        model: Its name.
        built_at: The instant of the run.
        generation: Changes when the model is rebuilt.
        definition: Hash of the model's file, of the columns of the raw tables that it reads, and of this library's version.
        sources: Hash of the contents of the sources that are not reduced.
        rules: Hash of the field rules with which the raw tables were stored.
        epoch: Which capture of changes it follows.
        change: The last change that it contains.
        version: Data version of its rows; None if an earlier release of this library has built it.
    """

    model: str
    built_at: datetime
    generation: str
    definition: str
    sources: str
    rules: str
    epoch: str | None = None
    change: int | None = None
    version: str | None = None


class BuiltModels(BookkeepingStore):
    """When and from what each model was built: the watermarks, which commit together with the rows."""

    NAME: ClassVar[str] = "_models"
    DESCRIPTION: ClassVar[str] = "When and from what each model was built: one row per model."
    COLUMNS: ClassVar[Columns] = {
        "model": ("VARCHAR", "Name of the model."),
        "built_at": (INSTANT, "Instant of the run that built or updated it: later events are not in it."),
        "generation": ("VARCHAR", "Id of its last complete build."),
        "definition": ("VARCHAR", "Hash of its SQL, the columns that it reads and the version of klaviyo_assets; a change rebuilds it."),
        "sources": ("VARCHAR", "Hash of the sources that are not reduced to changes; a change rebuilds an incremental model."),
        "rules": ("VARCHAR", "Hash of the field rules of the raw tables; a change rebuilds it."),
        "epoch": ("VARCHAR", "Capture of changes that an incremental model follows."),
        "change": ("BIGINT", "Last change of that capture that it contains: its watermark."),
        "version": ("VARCHAR", "Data version in Dagster: it changes only if rows of the table change."),
    }

    def get(self, model: str) -> Built | None:
        """Return how a model was built; None if it was not."""
        rows = self._rows(f"SELECT {', '.join(self.COLUMNS)} FROM {self.table} WHERE model = ?", [model])
        return Built(*rows[0]) if rows else None

    def put(self, built: Built) -> None:
        """Record how a model was built, in place of what was recorded."""
        self.connection.execute(f"DELETE FROM {self.table} WHERE model = ?", [built.model])
        self.connection.execute(f"INSERT INTO {self.table} ({', '.join(self.COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [*vars(built).values()])

    def forget_others(self, models: Collection[str]) -> None:
        """Forget the watermarks of models that are not among some: they no longer hold back changes, and are rebuilt if they come back."""
        for (model,) in self._rows(f"SELECT model FROM {self.table} WHERE epoch IS NOT NULL"):
            if model not in models:
                self.connection.execute(f"UPDATE {self.table} SET epoch = NULL, change = NULL WHERE model = ?", [model])

    def lowest_change(self, epoch: str) -> int | None:
        """Return the earliest change that a model following a capture contains; None if none follows it."""
        return self._rows(f"SELECT min(change) FROM {self.table} WHERE epoch = ?", [epoch])[0][0]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Capture:
    """The state of a capture of changes.

    Attributes:
        scope: Its groups.
        epoch: Random; new if what came before cannot be continued, then models are rebuilt.
        change: Number of the last change.
        timezone: Time zone of its days.
        syncs: Syncs of events that it has seen to their end.
    """

    scope: Scope
    epoch: str
    change: int
    timezone: str
    syncs: tuple[str, ...]


class Captures(BookkeepingStore):
    """The captures of changes of events, one per scope."""

    NAME: ClassVar[str] = "_captures"
    DESCRIPTION: ClassVar[str] = "How far changes of events were captured for incremental models: one row per kind of group."
    COLUMNS: ClassVar[Columns] = {
        "scope": ("VARCHAR", "Kind of group: profile_id or day."),
        "epoch": ("VARCHAR", "Id of the capture; with a new one, models are rebuilt."),
        "change": ("BIGINT", "Number of the last change."),
        "timezone": ("VARCHAR", "Time zone of the days."),
        "syncs": ("VARCHAR[]", "Ids of the latest syncs of events that had ended."),
    }

    def get(self, scope: Scope) -> Capture | None:
        """Return the state of a capture; None if there is none."""
        rows = self._rows(f"SELECT epoch, change, timezone, syncs FROM {self.table} WHERE scope = ?", [scope.value])
        return Capture(scope, rows[0][0], rows[0][1], rows[0][2], tuple(rows[0][3])) if rows else None

    def put(self, capture: Capture) -> None:
        """Record the state of a capture."""
        self.connection.execute(f"DELETE FROM {self.table} WHERE scope = ?", [capture.scope.value])
        self.connection.execute(
            f"INSERT INTO {self.table} (scope, epoch, change, timezone, syncs) VALUES (?, ?, ?, ?, ?)",
            [capture.scope.value, capture.epoch, capture.change, capture.timezone, [*capture.syncs]],
        )


class GroupEvents(BookkeepingStore):
    """How many events each group had at the last capture: a group that loses one, or gets one without a sync, has another number."""

    NAME: ClassVar[str] = "_group_events"
    DESCRIPTION: ClassVar[str] = "How many events each profile or day had when changes were last captured."
    COLUMNS: ClassVar[Columns] = {
        "scope": ("VARCHAR", "Kind of group: profile_id or day."),
        "value": ("VARCHAR", "The group: id of a profile, or a day; empty for none."),
        "events": ("BIGINT", "Events that are neither deleted nor in the future."),
    }

    def replace(self, scope: Scope, counted: str, among: str = "true") -> None:
        """Record the numbers of some groups, in place of what was recorded.

        Args:
            scope: The kind of group.
            counted: SQL from ``FROM`` on, for rows with ``value`` and ``events``.
            among: SQL condition for the groups.
        """
        self.connection.execute(f"DELETE FROM {self.table} WHERE scope = ? AND {among}", [scope.value])
        self.connection.execute(f"INSERT INTO {self.table} (scope, value, events) SELECT ?, value, events {counted}", [scope.value])


class ChangedGroups(BookkeepingStore):
    """The groups that have changed, until all models have followed."""

    NAME: ClassVar[str] = "_changed_groups"
    DESCRIPTION: ClassVar[str] = "Profiles and days with events that have changed, until all models that need it contain the change."
    COLUMNS: ClassVar[Columns] = {
        "scope": ("VARCHAR", "Kind of group: profile_id or day."),
        "value": ("VARCHAR", "The group: id of a profile, or a day; empty for none."),
        "change": ("BIGINT", "Number of the change."),
    }

    def since(self, scope: Scope, change: int) -> str:
        """Return SQL for the distinct groups that have changed after a change."""
        return f"SELECT DISTINCT value FROM {self.table} WHERE scope = '{scope.value}' AND change > {change}"

    def add(self, scope: Scope, change: int, changed: str) -> None:
        """Record a change.

        Args:
            scope: The kind of group.
            change: Its number.
            changed: SQL from ``FROM`` on, for rows with the ``value`` of each group.
        """
        self.connection.execute(f"INSERT INTO {self.table} (scope, value, change) SELECT ?, value, ? {changed}", [scope.value, change])

    def delete(self, scope: Scope) -> None:
        """Delete all changes of a kind of group."""
        self.connection.execute(f"DELETE FROM {self.table} WHERE scope = ?", [scope.value])

    def delete_up_to(self, scope: Scope, change: int) -> None:
        """Delete changes that every model contains."""
        self.connection.execute(f"DELETE FROM {self.table} WHERE scope = ? AND change <= ?", [scope.value, change])
