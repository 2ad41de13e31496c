"""The table ``_coverage``: which windows of a time field have been read and committed."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import polars as pl

from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.state.coverage import BEGINNING, CoverageRow, merge_coverage
from klaviyo_assets.warehouse.ddl import INSTANT, Columns
from klaviyo_assets.warehouse.sql import literal

_BEGINNING = f"'{BEGINNING.isoformat()}'::{INSTANT}"

WINDOW_START = f"CASE WHEN isinf(window_start) THEN {_BEGINNING} ELSE window_start END"
"""SQL for the start of a window as a time that Python can represent. A window without a lower bound starts at ``-infinity`` in the table."""

_REQUIRED = ("subset", "field", "window_start", "window_end", "read_at", "fingerprint", "final")
"""Columns that must not be null."""


class CoverageStore(BookkeepingStore):
    """The coverage of a schema. Unchanged rows are not rewritten, so the file does not grow."""

    NAME: ClassVar[str] = "_coverage"
    DESCRIPTION: ClassVar[str] = "The time windows that have been read, by resource type, subset, parent and field."
    COLUMNS: ClassVar[Columns] = {
        "account_id": ("VARCHAR", "Klaviyo account, or unknown."),
        "resource_type": ("VARCHAR", "Table."),
        "subset": ("VARCHAR", "Subset of the type that is read by requests of its own, such as a campaign channel."),
        "parent": ("VARCHAR", "Id of the parent record whose children were read; empty for a type without parents."),
        "field": ("VARCHAR", "Time field."),
        "window_start": (INSTANT, "Records whose field is from here on (-infinity: from the first) …"),
        "window_end": (INSTANT, "… and before this were all read."),
        "read_at": (INSTANT, "When that read began, on Klaviyo's clock."),
        "fingerprint": ("VARCHAR", "Of the options and columns that were read."),
        "final": ("BOOLEAN", "Whether it was read after its last lookback age, so that it need not be read again."),
    }

    def rows(self, resource_type: str) -> list[CoverageRow]:
        """Return the coverage of a resource type."""
        frame = self.connection.sql(
            f"SELECT subset, field, {WINDOW_START} AS window_start, window_end, read_at, fingerprint, final, coalesce(parent, '') AS parent "
            f"FROM {self.table} WHERE resource_type = {literal(resource_type)}"
        ).pl()
        return [CoverageRow(*record) for record in frame.iter_rows()]

    def covers_anything(self, resource_type: str) -> bool:
        """Return whether a resource type has any coverage."""
        return self._count("resource_type = ?", [resource_type]) > 0

    def add(self, resource_type: str, new: Sequence[CoverageRow], account_id: str, lookback_ages: Callable[[str], Sequence[timedelta]]) -> None:
        """Add the coverage of a read.

        Args:
            resource_type: The resource type.
            new: Rows that the read adds.
            account_id: The account that was read.
            lookback_ages: Returns the lookback ages of a time field.
        """
        if not new:
            return
        before = self.rows(resource_type)
        old, added = _by_key(before), _by_key(new)
        after = [row for row in before if _key(row) not in added]
        for key, rows in added.items():
            after += merge_coverage(old.get(key, []), rows, lookback_ages(key[-1]))
        self._replace(resource_type, before, after, account_id)

    def clear(self, resource_type: str) -> None:
        """Delete the coverage of a resource type, so everything is read again."""
        self.connection.execute(f"DELETE FROM {self.table} WHERE resource_type = ?", [resource_type])

    def keep_parents(self, resource_type: str, live: Collection[str]) -> None:
        """Delete the coverage of parents that no longer exist, so one that comes back is read completely.

        Args:
            resource_type: The resource type.
            live: Ids of the parents that exist.
        """
        self.connection.execute(
            f"DELETE FROM {self.table} WHERE resource_type = ? AND parent <> '' AND NOT list_contains(?, parent)", [resource_type, [*live]]
        )

    def keep_subset(self, resource_type: str, subset: str) -> None:
        """Delete the coverage of all other subsets."""
        self.connection.execute(f"DELETE FROM {self.table} WHERE resource_type = ? AND subset <> ?", [resource_type, subset])

    def clear_parents(self, resource_type: str, field: str, parents: Collection[str]) -> None:
        """Delete the coverage of some parents.

        Args:
            resource_type: The resource type.
            field: Time field of the coverage; the column with the parent's id for the record that their children are verified.
            parents: Ids of the parents.
        """
        self.connection.execute(
            f"DELETE FROM {self.table} WHERE resource_type = ? AND field = ? AND list_contains(?, parent)", [resource_type, field, [*parents]]
        )

    def clear_all(self) -> None:
        """Delete the coverage of every resource type."""
        self.connection.execute(f"DELETE FROM {self.table}")

    def delete_incomplete(self, resource_type: str) -> None:
        """Delete rows that lack a value: another program has damaged them."""
        complete = " AND ".join(f"{name} IS NOT NULL" for name in _REQUIRED)
        self.connection.execute(f"DELETE FROM {self.table} WHERE resource_type = ? AND NOT ({complete})", [resource_type])

    def delete_later_than(self, resource_type: str, latest: datetime) -> bool:
        """Delete rows that were read, or end, after an instant; return whether there were any."""
        later, parameters = "resource_type = ? AND (read_at > ? OR window_end > ?)", [resource_type, latest, latest]
        if not self._count(later, parameters):
            return False
        self.connection.execute(f"DELETE FROM {self.table} WHERE {later}", parameters)
        return True

    def change_fingerprint(self, resource_type: str, after: str, before: str | None = None) -> None:
        """Give rows another fingerprint.

        Args:
            resource_type: The resource type.
            after: The new fingerprint.
            before: Fingerprint of the rows to change; all rows if None.
        """
        condition, parameters = ("", []) if before is None else (" AND fingerprint = ?", [before])
        self.connection.execute(f"UPDATE {self.table} SET fingerprint = ? WHERE resource_type = ?{condition}", [after, resource_type, *parameters])

    def latest_account(self, unknown: str) -> str | None:
        """Return the account of the latest read, skipping rows with the value ``unknown``."""
        rows = self._rows(f"SELECT account_id FROM {self.table} WHERE account_id <> ? ORDER BY read_at DESC LIMIT 1", [unknown])
        return str(rows[0][0]) if rows else None

    def name_account(self, account_id: str, unknown: str) -> None:
        """Set the account of reads with an unknown account."""
        self.connection.execute(f"UPDATE {self.table} SET account_id = ? WHERE account_id = ?", [account_id, unknown])

    def _replace(self, resource_type: str, before: Sequence[CoverageRow], after: Sequence[CoverageRow], account_id: str) -> None:
        """Delete changed rows and insert new ones, with one statement each, since a child type has a row per parent."""
        old, new = {*before}, {*after}
        if removed := [row for row in before if row not in new]:
            self.connection.register("old_coverage", _frame(removed))
            self.connection.execute(
                f"DELETE FROM {self.table} WHERE resource_type = ? AND (subset, coalesce(parent, ''), field, {WINDOW_START}) "
                "IN (SELECT (subset, parent, field, window_start) FROM old_coverage)",
                [resource_type],
            )
            self.connection.unregister("old_coverage")
        if added := [row for row in after if row not in old]:
            rows = _frame(added).with_columns(account_id=pl.lit(account_id), resource_type=pl.lit(resource_type))
            self.connection.register("new_coverage", rows)
            self.connection.execute(
                f"INSERT INTO {self.table} BY NAME SELECT * REPLACE (CASE WHEN window_start > {_BEGINNING} THEN window_start "
                f"ELSE '-infinity'::{INSTANT} END AS window_start) FROM new_coverage"
            )
            self.connection.unregister("new_coverage")


def _frame(rows: Sequence[CoverageRow]) -> pl.DataFrame:
    """Return coverage rows as a frame with the column names of the table."""
    return pl.DataFrame([vars(row) for row in rows]).rename({"start": "window_start", "end": "window_end"})


def _by_key(rows: Iterable[CoverageRow]) -> dict[tuple[str, str, str], list[CoverageRow]]:
    found: dict[tuple[str, str, str], list[CoverageRow]] = {}
    for row in rows:
        found.setdefault(_key(row), []).append(row)
    return found


def _key(row: CoverageRow) -> tuple[str, str, str]:
    return row.subset, row.parent, row.field
