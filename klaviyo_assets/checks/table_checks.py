"""The checks of a table and the preview of its rows; the database is opened once for all."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import dagster as dg
import duckdb

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets._internal.sanitize import markdown, one_line
from klaviyo_assets.catalog import is_built_in
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.checks import asset_checks
from klaviyo_assets.quality.inspector import Inspector, inspecting
from klaviyo_assets.reporting.run_log import LOGGER
from klaviyo_assets.warehouse.interface import Warehouse, WarehouseError

InspectionCheck = Callable[[Inspector], dg.AssetCheckResult]


@dataclass(frozen=True)
class TableFindings:
    """Results of a table's checks.

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
        with_configured_names: Replaces the names of settings in a message by the user's own.
    """

    warehouse: Warehouse
    entry: ResourceType
    schema: str
    asset: dg.AssetKey
    with_configured_names: Callable[[str], str] = str

    def run(self, names: Iterable[str], since: datetime | None) -> TableFindings:
        """Run checks and read a preview, with one connection.

        A check that cannot read the table reports that in its own result; the rows are committed, and the other checks continue.

        Args:
            names: Names of checks; those that do not read the table are ignored.
            since: Start of the sync that just wrote to the table; None to check all rows.
        """
        selected = {name: check for name, check in self._checks(since).items() if name in names}
        preview, found = "", dict[str, dg.AssetCheckResult]()
        try:
            with inspecting(self.warehouse, self.entry, self.schema) as inspector:
                if why := inspector.nothing_to_check():
                    return TableFindings(why, [asset_checks.nothing_to_check(name, why, self.asset) for name in selected])
                preview = _preview(inspector)
                found = dict(self._results(inspector, selected))
        except (WarehouseError, duckdb.Error) as error:
            return TableFindings(
                markdown(self.with_configured_names(redact(str(error)))), [found.get(name) or self._unreadable(name, error) for name in selected]
            )
        # A separate connection explains a check's error (such as too little memory) and isolates it from the other checks.
        return TableFindings(preview, [found.get(name) or self._run_alone(name, check) for name, check in selected.items()])

    def _checks(self, since: datetime | None) -> dict[str, InspectionCheck]:
        own_type = None if is_built_in(self.entry) else self.entry.name
        found: dict[str, InspectionCheck] = {
            asset_checks.PRIMARY_KEY: lambda inspector: asset_checks.primary_key(inspector.primary_key(since), self.asset),
            asset_checks.UNKNOWN_ATTRIBUTES: lambda inspector: asset_checks.unknown_attributes(inspector.unknown_attributes(), self.asset, own_type),
            asset_checks.SCHEMA_DRIFT: lambda inspector: asset_checks.schema_drift(inspector.drifts(), self.asset, own_type),
        }
        if self.entry.included_columns or self.entry.host is not None:
            found[asset_checks.INCLUDED_COMPLETE] = self._included_complete
        return found

    def _included_complete(self, inspector: Inspector) -> dg.AssetCheckResult:
        if self.entry.host is not None:
            return asset_checks.host_complete(inspector.fetched_by_id(), self.entry, self.asset)
        return asset_checks.included_complete(inspector.fetched_by_id(), inspector.incomplete(), self.entry, self.asset)

    def _results(self, inspector: Inspector, selected: dict[str, InspectionCheck]) -> Iterator[tuple[str, dg.AssetCheckResult]]:
        for name, check in selected.items():
            try:
                yield name, check(inspector)
            except (duckdb.Error, ValueError):
                continue  # run again separately

    def _run_alone(self, name: str, check: InspectionCheck) -> dg.AssetCheckResult:
        try:
            with inspecting(self.warehouse, self.entry, self.schema) as inspector:
                return check(inspector)
        except (WarehouseError, duckdb.Error, ValueError) as error:
            return self._unreadable(name, error)

    def _unreadable(self, name: str, error: Exception) -> dg.AssetCheckResult:
        LOGGER.warning("The check %s of %s could not read the table: %s", name, self.entry.name, one_line(str(error)))
        return asset_checks.unreadable(name, error, self.asset)


def _preview(inspector: Inspector) -> str:
    try:
        return inspector.preview()
    except duckdb.Error as error:
        return markdown(redact(str(error)))  # the rows are committed, whatever happened to the database since
