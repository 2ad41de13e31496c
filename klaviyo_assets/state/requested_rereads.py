"""The table ``_rereads``: windows that must be read again although they are covered.

Code that detects a wrong covered window, such as an audit, requests a reread here. Every incremental sync reads the pending windows again, each as a
whole, and marks the rows in them that Klaviyo did not return. Late events do not need this: the lookback ages in ``coverage`` handle them.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from klaviyo_assets._internal.instants import from_microseconds
from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.state.coverage import TimeWindow
from klaviyo_assets.state.days import joined
from klaviyo_assets.warehouse.ddl import INSTANT, Columns


@dataclass(frozen=True)
class Reread:
    """A window that must be read again.

    Attributes:
        field: The time field.
        window: The window.
        expects_none: True if the requester knows that Klaviyo no longer has records of the window, so an empty response is correct.
    """

    field: str
    window: TimeWindow
    expects_none: bool = False


class Rereads(BookkeepingStore):
    """The windows of a schema that must be read again."""

    NAME: ClassVar[str] = "_rereads"
    DESCRIPTION: ClassVar[str] = "Time windows that must be read again although they are covered."
    COLUMNS: ClassVar[Columns] = {
        "resource_type": ("VARCHAR", "Table."),
        "field": ("VARCHAR", "Time field."),
        "window_start": (INSTANT, "Records whose field is from here on …"),
        "window_end": (INSTANT, "… and before this are read again."),
        "expects_none": ("BOOLEAN", "Whether the requester knows that Klaviyo has no record of the window, so that an empty response is no fault."),
        "requested_by": ("VARCHAR", "Who requested it, such as audit."),
        "requested_at": (INSTANT, "When, on Klaviyo's clock."),
        "reread_at": (INSTANT, "When the read began that read the whole window again; null until then."),
    }

    def request(self, resource_type: str, rereads: Collection[Reread], *, by: str, at: datetime) -> None:
        """Request rereads of windows, replacing earlier requests for the same windows.

        Args:
            resource_type: The resource type.
            rereads: The windows.
            by: Name of the requester.
            at: Now, on Klaviyo's clock: a sync that began earlier does not fulfil the request.
        """
        for one in rereads:
            bounds = [one.window.start, one.window.end]
            self.connection.execute(
                f"DELETE FROM {self.table} WHERE resource_type = ? AND field = ? AND requested_by = ? AND window_start = ? AND window_end = ?",
                [resource_type, one.field, by, *bounds],
            )
            self.connection.execute(
                f"INSERT INTO {self.table} (resource_type, field, window_start, window_end, expects_none, requested_by, requested_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [resource_type, one.field, *bounds, one.expects_none, by, at],
            )

    def pending(self, resource_type: str) -> list[Reread]:
        """Return the windows that have not been read again yet, ascending."""
        rows = self._rows(
            f"SELECT field, epoch_us(window_start), epoch_us(window_end), coalesce(expects_none, false) FROM {self.table} "
            "WHERE resource_type = ? AND reread_at IS NULL ORDER BY window_start, window_end",
            [resource_type],
        )
        return [Reread(field, TimeWindow(from_microseconds(start), from_microseconds(end)), expects_none) for field, start, end, expects_none in rows]

    def done(self, resource_type: str, windows: Sequence[TimeWindow], at: datetime) -> None:
        """Record that windows were read again.

        Args:
            resource_type: The resource type.
            windows: Windows that were read as a whole.
            at: When the read began; later requests stay pending.
        """
        for window in windows:
            self.connection.execute(
                f"UPDATE {self.table} SET reread_at = ? WHERE resource_type = ? AND reread_at IS NULL AND window_start >= ? AND window_end <= ? "
                "AND (requested_at IS NULL OR requested_at <= ?)",
                [at, resource_type, window.start, window.end, at],
            )

    def reread_at(self, resource_type: str, by: str) -> dict[datetime, datetime | None]:
        """Return when the windows of a requester were read again (None: not yet), by their start."""
        rows = self._rows(
            f"SELECT epoch_us(window_start), epoch_us(reread_at) FROM {self.table} WHERE resource_type = ? AND requested_by = ?", [resource_type, by]
        )
        return {from_microseconds(start): None if at is None else from_microseconds(at) for start, at in rows}

    def keep(self, resource_type: str, starts: Collection[datetime], *, by: str) -> None:
        """Delete a requester's requests except those for windows with these starts."""
        for start in self.reread_at(resource_type, by).keys() - {*starts}:
            self.connection.execute(
                f"DELETE FROM {self.table} WHERE resource_type = ? AND requested_by = ? AND window_start = ?", [resource_type, by, start]
            )


def rereads_within(rereads: Iterable[Reread], whole: TimeWindow) -> list[Reread]:
    """Return the rereads that lie completely within a window, ascending; adjacent ones are merged.

    Args:
        rereads: What :meth:`Rereads.pending` returns.
        whole: What a sync may read.
    """
    found = [one for one in rereads if whole.start <= one.window.start and one.window.end <= whole.end]
    return sorted(
        (
            Reread(field, window, expects_none)
            for field, expects_none in {(one.field, one.expects_none) for one in found}
            for window in joined(one.window for one in found if (one.field, one.expects_none) == (field, expects_none))
        ),
        key=lambda one: one.window,
    )
