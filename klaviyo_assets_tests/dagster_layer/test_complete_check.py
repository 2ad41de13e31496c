"""The check ``complete`` after a sync, if what the last audit has found cannot be read."""

import logging
from collections.abc import Callable

import dagster as dg
import pytest

from klaviyo_assets import KlaviyoResource
from klaviyo_assets.audit.audit_store import AuditStore
from klaviyo_assets.ops.complete_check import CompleteCheck
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query
from klaviyo_assets_tests.load.loads import Loads


def last_result(warehouse: LocalFile) -> dg.AssetCheckResult | None:
    klaviyo = KlaviyoResource(api_key=ALL_SCOPES_KEY)
    return CompleteCheck(logging.getLogger("a run"), dg.AssetKey(["klaviyo", "events"]), "klaviyo", klaviyo, warehouse).last_result()


def no_database(warehouse: LocalFile) -> None:
    warehouse.path.write_bytes(b"no database" * 1000)


def later_version(warehouse: LocalFile) -> None:
    Loads(warehouse, warehouse.path.parent, "events")
    AuditStore(warehouse, "klaviyo").last()
    query(warehouse, "UPDATE _layout SET version = 999")


def other_columns(warehouse: LocalFile) -> None:
    Loads(warehouse, warehouse.path.parent, "events")
    AuditStore(warehouse, "klaviyo").last()
    query(warehouse, "CREATE OR REPLACE TABLE _audits AS SELECT now() AS audited_at")


@pytest.mark.parametrize(
    ("damage", "words"),
    [(no_database, "klaviyo.duckdb is not a DuckDB database"), (later_version, "Upgrade klaviyo_assets"), (other_columns, "_audits")],
    ids=["no database", "a later version", "other columns"],
)
def test_findings_that_cannot_be_read_are_a_warning(damage: Callable[[LocalFile], None], words: str, warehouse: LocalFile) -> None:
    damage(warehouse)

    found = last_result(warehouse)

    assert found is not None
    assert (found.check_name, found.passed, found.severity) == ("complete", False, dg.AssetCheckSeverity.WARN)
    assert (found.description or "").startswith("The table could not be read: ")
    assert words in (found.description or "")
