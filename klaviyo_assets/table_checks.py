"""The checks of a table and the preview of its rows, for which the database is opened once."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import dagster as dg
import duckdb

from klaviyo_assets import checks
from klaviyo_assets._internal.sanitize import markdown, one_line
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.quality.inspector import Inspector, inspecting
from klaviyo_assets.run_log import LOGGER
from klaviyo_assets.warehouse.base import Warehouse, WarehouseError

Look = Callable[[Inspector], dg.AssetCheckResult]


@dataclass(frozen=True)
class TableFindings:
    """What was found in a table.

    Attributes:
        preview: Some rows as a Markdown table, or why there are none.
        results: Results of the selected checks.
    """

    preview: str
    results: list[dg.AssetCheckResult]


@dataclass(frozen=True)
class TableChecks:
    """Checks one resource type's table.

    Args:
        warehouse: The database.
        entry: The resource type.
        schema: DuckDB schema.
        asset: Key of the asset.
    """

    warehouse: Warehouse
    entry: ResourceType
    schema: str
    asset: dg.AssetKey

    def run(self, names: Iterable[str], since: datetime | None) -> TableFindings:
        """Run checks in one opening of the database, and read a preview.

        A check that cannot read the table says so in its own result: the rows are committed, and the other checks go on.

        Args:
            names: Names of checks; those that are not about the table are left out.
            since: Start of the sync that has just written to the table; None to check all rows.
        """
        looks = {name: look for name, look in self._looks(since).items() if name in names}
        preview, found = "", dict[str, dg.AssetCheckResult]()
        try:
            with inspecting(self.warehouse, self.entry, self.schema) as inspector:
                preview = _preview(inspector)
                found = dict(self._results(inspector, looks))
        except (WarehouseError, duckdb.Error) as error:
            return TableFindings(markdown(str(error)), [found.get(name) or self._could_not_look(name, error) for name in looks])
        # In an opening of its own, the error that a check meets is explained (such as: too little memory), and affects no other check.
        return TableFindings(preview, [found.get(name) or self._alone(name, look) for name, look in looks.items()])

    def _looks(self, since: datetime | None) -> dict[str, Look]:
        return {
            checks.PRIMARY_KEY: lambda inspector: checks.primary_key(inspector.primary_key(since), self.asset),
            checks.UNKNOWN_ATTRIBUTES: lambda inspector: checks.unknown_attributes(inspector.unknown_attributes(), self.asset),
            checks.SCHEMA_DRIFT: lambda inspector: checks.schema_drift(inspector.drifts(), self.asset),
        }

    def _results(self, inspector: Inspector, looks: dict[str, Look]) -> Iterator[tuple[str, dg.AssetCheckResult]]:
        for name, look in looks.items():
            try:
                yield name, look(inspector)
            except (duckdb.Error, ValueError):
                continue  # it is repeated alone

    def _alone(self, name: str, look: Look) -> dg.AssetCheckResult:
        try:
            with inspecting(self.warehouse, self.entry, self.schema) as inspector:
                return look(inspector)
        except (WarehouseError, duckdb.Error, ValueError) as error:
            return self._could_not_look(name, error)

    def _could_not_look(self, name: str, error: Exception) -> dg.AssetCheckResult:
        LOGGER.warning("The check %s of %s could not read the table: %s", name, self.entry.name, one_line(str(error)))
        return checks.could_not_look(name, error, self.asset)


def _preview(inspector: Inspector) -> str:
    try:
        return inspector.preview()
    except duckdb.Error as error:
        return markdown(str(error))  # the rows are committed, whatever has happened to the database since
