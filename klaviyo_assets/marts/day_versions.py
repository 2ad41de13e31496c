"""The data version of each day of a model that is maintained by day: it changes when rows of the day change, and only then."""

from dataclasses import dataclass
from typing import ClassVar

from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.warehouse.ddl import Columns
from klaviyo_assets.warehouse.sql import count_rows, literal

_DAYS_NOW, _DIFFERENT = "temp.mart_days_now", "temp.mart_days_different"


@dataclass(frozen=True)
class DayOfModel:
    """A day of a model.

    Attributes:
        rows: Rows of the table.
        version: Data version of these rows.
    """

    rows: int
    version: str


NO_ROWS = DayOfModel(0, "no rows")
"""A day that the table does not have."""


class DayVersions(BookkeepingStore):
    """The days of models with their data versions, which commit together with the rows.

    A build often computes days whose rows stay the same: those that a user has selected, those with events that do not matter to the model, and all
    days if it is built completely. A digest of the rows shows that.
    """

    NAME: ClassVar[str] = "_day_versions"
    DESCRIPTION: ClassVar[str] = "The days of the models that are maintained by day: one row per model and day with rows."
    COLUMNS: ClassVar[Columns] = {
        "model": ("VARCHAR", "Name of the model."),
        "day": ("VARCHAR", "The day, in the account's time zone; empty for rows without one."),
        "rows": ("BIGINT", "Rows of the day."),
        "digest": ("VARCHAR", "Digest of these rows."),
        "version": ("VARCHAR", "Data version in Dagster: the build that changed rows of the day last."),
    }

    def of(self, model: str) -> dict[str, DayOfModel]:
        """Return the days with rows of a model."""
        return {
            day: DayOfModel(rows, version)
            for day, rows, version in self._rows(f"SELECT day, rows, version FROM {self.table} WHERE model = ?", [model])
        }

    def has(self, model: str) -> bool:
        """Return whether there are days of a model."""
        return self._count("model = ?", [model]) > 0

    def update(self, model: str, days: str, version: str, among: str = "true") -> int:
        """Give days a data version if their rows have changed, and return how many these are.

        Args:
            model: Name of the model.
            days: SQL for the days with rows: columns ``value``, ``rows`` and ``digest``.
            version: The data version.
            among: SQL condition for ``day``: the days that ``days`` was computed for.
        """
        known = f"SELECT day AS value, rows, digest FROM {self.table} WHERE model = {literal(model)} AND {among}"
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {_DAYS_NOW} AS {days}")
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {_DIFFERENT} AS SELECT value, now.rows, now.digest "
            f"FROM {_DAYS_NOW} AS now FULL JOIN ({known}) AS known USING (value) "
            "WHERE (now.rows, now.digest) IS DISTINCT FROM (known.rows, known.digest)"
        )
        self.connection.execute(f"DELETE FROM {self.table} WHERE model = {literal(model)} AND day IN (SELECT value FROM {_DIFFERENT})")
        self.connection.execute(
            f"INSERT INTO {self.table} (model, day, rows, digest, version) "
            f"SELECT {literal(model)}, value, rows, digest, {literal(version)} FROM {_DIFFERENT} WHERE rows IS NOT NULL"
        )
        return count_rows(self.connection, f"FROM {_DIFFERENT}")
