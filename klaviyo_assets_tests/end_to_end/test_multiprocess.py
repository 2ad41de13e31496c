"""The command that users and schedules run: Dagster's multiprocess executor, all steps in parallel, one DuckDB file, with rate limits."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file, table, truth

pytestmark = pytest.mark.slow

NewAccount = Callable[..., SandboxProcess]


def database(folder: Path) -> LocalFile:
    """Return the database that a run writes."""
    return local_file(folder, "warehouse.duckdb")


def materialize(folder: Path, sandbox: SandboxProcess, key: str, types: str = "default") -> subprocess.CompletedProcess[str]:
    """Materialize the assets of some types; all files of the run are in the folder."""
    home = folder / "dagster"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    environment = {
        "DAGSTER_HOME": str(home),
        "KLAVIYO_API_KEY": key,
        "KLAVIYO_BASE_URL": sandbox.base_url,
        "KLAVIYO_DUCKDB_PATH": str(database(folder).path),
        "KLAVIYO_RESOURCE_TYPES": types,
    }
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "klaviyo_assets.definitions", "--select", "*"]
    result = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    (folder / "output.txt").write_text(result.stdout + result.stderr)
    return result


def files_with(text: str, folder: Path) -> list[Path]:
    """Return the files that contain a text."""
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def failures(dagster_home: Path) -> str:
    """Return the errors of failed steps from the event log (lines on the terminal may get lost, since several processes write to it)."""
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        (run,) = instance.get_runs()
        records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
        events = [record.event_log_entry.dagster_event for record in records]
        return "\n".join(event.step_failure_data.error_display_string for event in events if event is not None)


def other_statuses(sandbox: SandboxProcess) -> dict[str, dict[str, int]]:
    """Return the counts of statuses of each endpoint that did not always return 200."""
    return {name: statuses for name, endpoint in sandbox.stats()["endpoints"].items() if set(statuses := endpoint["statuses"]) != {"200"}}


def test_all_types_in_parallel_without_429s_or_lock_errors(new_account: NewAccount, tmp_path: Path) -> None:
    sandbox = new_account(limits=True)

    result = materialize(tmp_path, sandbox, ALL_SCOPES_KEY)

    assert result.returncode == 0, result.stderr[-3000:]
    assert other_statuses(sandbox) == {}
    for name, entry in CATALOG.select(CATALOG.default_names).items():
        volatile = [column.name for column in entry.columns if column.volatile]
        assert_frame_equal(table(database(tmp_path), name).drop(volatile), truth(sandbox, name).drop(volatile))
    assert files_with(ALL_SCOPES_KEY, tmp_path) == []


def test_failed_run_writes_the_key_nowhere(new_account: NewAccount, tmp_path: Path) -> None:
    sandbox = new_account()
    key = key_lacking("reviews:read")
    sandbox.faults(
        {"path": "/api/lists", "kind": "html403", "times": None},
        {"path": "/api/flows", "kind": "retired", "times": None},
        {"path": "/api/segments", "kind": "foreign_next", "times": None},
    )

    result = materialize(tmp_path, sandbox, key, "core")

    assert result.returncode != 0
    output = failures(tmp_path / "dagster")
    for message in ("lacks the scope reviews:read", "blocked before it reached", "no longer serves the API revision", "it was not followed"):
        assert message in output
    for name in ("accounts", "campaigns", "events", "metrics", "profiles"):
        assert_frame_equal(table(database(tmp_path), name), truth(sandbox, name))
    assert files_with(key, tmp_path) == []
