"""A replication defined outside of the package, with its own strategy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from klaviyo_assets import build_klaviyo_assets
from klaviyo_assets.catalog import CATALOG, CatalogError
from klaviyo_assets.catalog.replication import Incremental, Replication
from klaviyo_assets.extract.slices import Slice
from klaviyo_assets.extract.strategies import IncrementalStrategy, strategy_for
from klaviyo_assets.extract.strategies.strategy import Completion, PlanContext
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.validation import InvalidDefinition
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync


@dataclass(frozen=True)
class LastDays(Replication):
    """Reads the last days again at each sync; older rows do not change."""

    field: str
    days: int

    @property
    def cursor_fields(self) -> tuple[str, ...]:
        return (self.field,)

    @property
    def range_field(self) -> str | None:
        return self.field

    def history_field(self, context: PlanContext) -> str | None:
        return None

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[Slice]:
        start = context.top - timedelta(days=self.days)
        return [Slice(subset, self.field, start, None, context.top) for subset in context.entry.subsets]

    def completion(self, mode: SyncMode) -> Completion:
        return Completion.SWAP if mode is SyncMode.full else Completion.COVERAGE


@dataclass(frozen=True)
class Unknown(Replication):
    """A replication without a strategy."""


class Relaxed(Incremental):
    """A built-in kind with one behaviour changed."""

    def lookback_ages_of(self, field: str) -> tuple[timedelta, ...]:
        return ()


class Partial(Incremental):
    """A built-in kind with a part of a strategy."""

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[Slice]:
        return []


def test_a_sync_uses_a_custom_strategy(account: SandboxProcess, warehouse: LocalFile) -> None:
    entry = replace(CATALOG["events"], replication=LastDays("datetime", days=20))

    report = sync(entry, account, warehouse)

    (oldest, rows), *_ = query(warehouse, "SELECT min(datetime), count(*) FROM events")
    begins = report.row.started_at - timedelta(days=20, seconds=10)
    assert 0 < rows < account.options.events
    assert begins <= oldest < begins + timedelta(days=3)
    assert query(warehouse, "SELECT count(*) FROM _coverage") == [(1,)]

    again = sync(entry, account, warehouse)
    assert (again.row.records_read, again.row.rows_inserted) == (rows, 0)


def test_a_replication_without_a_strategy_is_rejected() -> None:
    with pytest.raises(CatalogError, match=r"Unknown, the replication of events, does not implement Strategy\. Implement its methods"):
        strategy_for(replace(CATALOG["events"], replication=Unknown()))


def test_a_replication_with_a_part_of_a_strategy_is_rejected() -> None:
    with pytest.raises(CatalogError, match="Partial, the replication of events, has plan but not history_field, completion"):
        strategy_for(replace(CATALOG["events"], replication=Partial("datetime", ())))


@dataclass(frozen=True)
class OwnSlice:
    """A class that looks like a slice."""

    name: str = "own"
    parent_id: None = None
    whole_parent: None = None


class OwnSlices(Incremental):
    """A strategy that plans something else than slices."""

    def history_field(self, context: PlanContext) -> str | None:
        return None

    def plan(self, context: PlanContext, oldest: datetime | None) -> Sequence[Any]:
        return [OwnSlice()]

    def completion(self, mode: SyncMode) -> Completion:
        return Completion.COVERAGE


def test_a_strategy_that_plans_no_slices_is_named(account: SandboxProcess, warehouse: LocalFile) -> None:
    with pytest.raises(CatalogError, match=r"The strategy of events plans a OwnSlice, .* Return objects of SubsetSlice, Slice, ParentSlice or"):
        sync(replace(CATALOG["events"], replication=OwnSlices("datetime", ())), account, warehouse)


def test_a_subclass_of_a_built_in_replication_has_its_strategy() -> None:
    replication = Relaxed("datetime", (timedelta(days=1),))

    assert strategy_for(replace(CATALOG["events"], replication=replication)) == IncrementalStrategy(replication)


@pytest.mark.parametrize("replication", [Unknown(), Partial("datetime", ())], ids=["unknown", "partial"])
def test_definitions_are_not_built_without_a_strategy(replication: Replication) -> None:
    catalog = CATALOG.updated({"events": replace(CATALOG["events"], replication=replication)})

    with pytest.raises(InvalidDefinition, match=f"{type(replication).__name__}, the replication of events, "):
        build_klaviyo_assets(catalog=catalog)
    assert build_klaviyo_assets(catalog=catalog, resource_types=["lists"])


@pytest.mark.long
def test_a_full_sync_ends_as_the_strategy_defines(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("events", account, warehouse)
    (known,), *_ = query(warehouse, "SELECT count(*) FROM events")

    entry = replace(CATALOG["events"], replication=LastDays("datetime", days=20))
    report = sync(entry, account, warehouse, SyncOptions(SyncMode.full))

    # The swap keeps rows that were not returned and marks them as deleted, since the strategy declares a complete read.
    assert query(warehouse, "SELECT count(*), count(_deleted_at) FROM events") == [(known, known - report.row.records_read)]
