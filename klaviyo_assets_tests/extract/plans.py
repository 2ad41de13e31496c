"""Plans of syncs at a fixed time, for the tests of planning."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.replication import FullTable, Incremental, NewestFirst
from klaviyo_assets.extract.plan import Plan, plan
from klaviyo_assets.extract.slice_query import slice_parameters
from klaviyo_assets.extract.slices import Slice
from klaviyo_assets.extract.strategies import strategy_for
from klaviyo_assets.extract.strategies.strategy import LAG, PlanContext
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions, range_field
from klaviyo_assets.state.coverage import CoverageRow, TimeWindow

NOW = datetime(2026, 3, 10, 12, 0, 10, tzinfo=UTC)
TOP = NOW - LAG
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FULL_TABLE = [name for name, entry in CATALOG.items() if isinstance(entry.replication, FullTable)]
BY_TIME = [name for name, entry in CATALOG.items() if isinstance(entry.replication, Incremental | NewestFirst)]


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def row(field: str, start: datetime, end: datetime, read_at: datetime, fingerprint_: str = "same") -> CoverageRow:
    return CoverageRow("all", field, start, end, read_at, fingerprint_)


def planned(
    name: str,
    request: SyncOptions = SyncOptions(),  # noqa: B008
    covered: Sequence[CoverageRow] = (),
    *,
    oldest: datetime | None = None,
    now: datetime = NOW,
    fingerprint_: str = "same",
) -> Plan:
    entry = CATALOG[name]
    return plan(strategy_for(entry), PlanContext(entry, request, covered, now, fingerprint_), oldest)


def windows(slices: Sequence[Slice], field: str | None = None) -> list[tuple[datetime | None, datetime | None]]:
    return [(part.start, part.covers_to) for part in slices if field in (None, part.field)]


def queries(name: str, slices: Sequence[Slice]) -> list[tuple[str | None, str | None]]:
    parameters = [slice_parameters(CATALOG[name], part) for part in slices]
    return [(one.get("sort"), one.get("filter")) for one in parameters]


def range_request(name: str, start: datetime, end: datetime) -> SyncOptions:
    return SyncOptions(SyncMode.range, field=range_field(CATALOG[name]), window=TimeWindow(start, end))
