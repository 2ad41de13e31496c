"""The audit and the repair follow a user's own catalog: its events may have other columns, and its endpoints other addresses."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets import CATALOG
from klaviyo_assets.audit.audit_store import AuditStore
from klaviyo_assets.catalog import Catalog, ResourceType
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query
from klaviyo_assets_tests.audit.old_imports import definitions, import_old_events, results_of
from klaviyo_assets_tests.load.loads import Loads

EVENTS = replace(CATALOG["events"], columns=tuple(column for column in CATALOG["events"].columns if column.name != "uuid"))
OWN = CATALOG.updated({"events": EVENTS})


def columns(warehouse: LocalFile) -> list[str]:
    return [name for (name,) in query(warehouse, "SELECT column_name FROM duckdb_columns() WHERE table_name = 'events' ORDER BY column_index")]


def test_an_audit_adds_no_column_to_the_table_of_a_users_own_events(warehouse: LocalFile) -> None:
    Loads(warehouse, warehouse.path.parent, EVENTS)
    before, store = columns(warehouse), AuditStore(warehouse, "klaviyo", OWN)

    store.coverage()
    store.last()

    assert "uuid" not in before
    assert columns(warehouse) == before


@pytest.mark.long
@pytest.mark.usefixtures("unpaced", "database_file")
def test_a_users_own_events_are_audited_and_repaired_without_a_change_of_columns(
    sandbox: SandboxProcess, warehouse: LocalFile, tmp_path: Path
) -> None:
    defs = definitions(sandbox, tmp_path, catalog=OWN)
    with dg.DagsterInstance.ephemeral() as instance:

        def run(job: str) -> list[bool]:
            return [one.passed for one in results_of(defs.resolve_job_def(job).execute_in_process(instance=instance))]

        run("klaviyo_sync_frequent")
        before = columns(warehouse)
        import_old_events(sandbox, 60)
        sandbox.advance(timedelta(hours=1))

        assert run("klaviyo_audit") == [False]
        assert columns(warehouse) == before
        assert run("klaviyo_repair") == [True]

    assert "uuid" not in before
    assert columns(warehouse) == before


def elsewhere(entry: ResourceType) -> ResourceType:
    return replace(entry, endpoint=replace(entry.endpoint, path=f"/elsewhere/{entry.name}"))


def counted_elsewhere() -> ResourceType:
    assert EVENTS.counted_by is not None
    return replace(EVENTS, counted_by=replace(EVENTS.counted_by, path="/elsewhere/counts"))


@pytest.mark.long
@pytest.mark.usefixtures("unpaced", "database_file")
@pytest.mark.parametrize(
    ("own", "path"),
    [(elsewhere(CATALOG["metrics"]), "metrics"), (elsewhere(EVENTS), "events"), (counted_elsewhere(), "counts")],
    ids=["metrics", "events", "counts"],
)
def test_an_audit_requests_what_the_own_catalog_names(own: ResourceType, path: str, sandbox: SandboxProcess, tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:

        def run(job: str, catalog: Catalog) -> dg.ExecuteInProcessResult:
            job_def = definitions(sandbox, tmp_path, catalog=catalog).resolve_job_def(job)
            return job_def.execute_in_process(instance=instance, raise_on_error=False)

        assert run("klaviyo_sync_frequent", CATALOG).success
        audit = run("klaviyo_audit", CATALOG.updated({own.name: own}))

    (failed,) = [event.step_failure_data for event in audit.all_node_events if event.is_step_failure]
    assert failed.user_failure_data is not None
    assert f"/elsewhere/{path}: 40" in (failed.user_failure_data.description or "")
