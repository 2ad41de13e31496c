"""Audits and erasures that conflict with another writer are retried, like loads, and change everything exactly once."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from klaviyo_assets.audit.audit_store import AuditStore
from klaviyo_assets.audit.audit_tables import AuditRecord
from klaviyo_assets.audit.compare import Difference, DifferenceState
from klaviyo_assets.erasure.erase import DataSubject, Erasure
from klaviyo_assets_tests.accounts import query
from klaviyo_assets_tests.load.loads import NOON, Loads
from klaviyo_assets_tests.warehouse.shared_file import SharedFile

pytestmark = pytest.mark.duckdb

ANN, BOB = "01AAAAAAAAAAAAAAAAAAAAAAAA", "01BBBBBBBBBBBBBBBBBBBBBBBB"
BOBS_EMAIL = "bob@example.com"
DAY = date(2026, 1, 1)
AUDIT = AuditRecord(datetime(2026, 1, 9, tzinfo=UTC), None, 1, 1, 1)


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.load.transaction_retry._SECONDS", (0, 0))


@pytest.fixture
def shared(tmp_path: Path) -> SharedFile:
    return SharedFile(tmp_path)


def fill_profiles(shared: SharedFile, folder: Path) -> None:
    Loads(shared, folder, "profiles")([{"id": ANN, "email": "ann@example.com", "updated": NOON}, {"id": BOB, "email": BOBS_EMAIL, "updated": NOON}])


def replaced(table: str) -> str:
    """Return SQL with which another writer replaces a table's rows: DuckDB detects a conflict if both writers delete a row."""
    return f"CREATE OR REPLACE TABLE main.kept AS FROM klaviyo.{table}; DELETE FROM klaviyo.{table}; INSERT INTO klaviyo.{table} FROM main.kept"


@pytest.mark.long
@pytest.mark.parametrize("dry_run", [False, True], ids=["erase", "dry run"])
@pytest.mark.parametrize("conflicts", [0, 1, 3])
def test_an_erasure_with_a_conflict_is_retried_from_its_beginning(conflicts: int, dry_run: bool, shared: SharedFile, tmp_path: Path) -> None:
    fill_profiles(shared, tmp_path)
    person = DataSubject.named(ANN, BOBS_EMAIL)
    shared.before, shared.times = 'DELETE FROM "shop"."klaviyo"."profiles"', conflicts
    shared.change = replaced("profiles")

    result = Erasure(shared, "klaviyo").run(person, dry_run=dry_run)

    assert shared.times == 0
    assert [(one.table, one.rows) for one in result.found] == [("profiles", 1)]
    assert sum("is also that of 1 other profile" in note for note in result.notes) == 1, "a retry does not keep the results of an earlier try"
    assert person == DataSubject.named(ANN, BOBS_EMAIL)
    assert query(shared, "SELECT id FROM profiles ORDER BY id") == ([(ANN,), (BOB,)] if dry_run else [(BOB,)])


@pytest.mark.long
def test_an_erasure_with_permanent_conflicts_changes_nothing(shared: SharedFile, tmp_path: Path) -> None:
    fill_profiles(shared, tmp_path)
    shared.before, shared.times = 'DELETE FROM "shop"."klaviyo"."profiles"', 100
    shared.change = replaced("profiles")

    with pytest.raises(duckdb.TransactionException, match=r"[Cc]onflict"):
        Erasure(shared, "klaviyo").run(DataSubject.named(ANN))

    assert shared.times == 80
    assert query(shared, "SELECT id FROM profiles ORDER BY id") == [(ANN,), (BOB,)]


def difference(state: DifferenceState = DifferenceState.MISMATCH) -> Difference:
    return Difference(DAY, "M1", klaviyo_count=2, table_count=1, state=state)


def save(store: AuditStore) -> object:
    return store.save(AUDIT, [difference()])


COMMENTED = "COMMENT ON COLUMN klaviyo._audits.metrics IS 'changed by another'"

WORK: dict[str, tuple[Callable[[AuditStore], Any], str, str, Any]] = {
    "save": (save, 'DELETE FROM "shop"."klaviyo"."_audit_days"', replaced("_audit_days"), None),
    "request rereads": (
        lambda store: store.request_rereads(NOON),
        'UPDATE "shop"."klaviyo"."_audit_days"',
        "UPDATE klaviyo._audit_days SET reread_at = now()",
        1,
    ),
    "read the last": (
        lambda store: [one.state for one in store.last()[1]],
        "COMMENT ON COLUMN",
        COMMENTED,
        [DifferenceState.MISMATCH],
    ),
    "read the coverage": (lambda store: store.coverage(), "COMMENT ON COLUMN", COMMENTED, []),
}


@pytest.mark.parametrize(("work", "before", "change", "result"), WORK.values(), ids=WORK)
def test_an_audit_with_a_conflict_is_retried(
    work: Callable[[AuditStore], Any], before: str, change: str, result: Any, shared: SharedFile, tmp_path: Path
) -> None:
    Loads(shared, tmp_path, "events")
    store = AuditStore(shared, "klaviyo")
    save(store)
    query(shared, "COMMENT ON COLUMN _audits.metrics IS NULL")
    shared.before, shared.change, shared.times = before, change, 2

    assert work(store) == result

    assert shared.times == 0
    assert query(shared, "SELECT count(*) FROM _audits") == [(1,)]
    assert query(shared, "SELECT count(*) FROM _audit_days") == [(1,)]
