"""The command that users and schedules run: Dagster's multiprocess executor, every step at once, one DuckDB file, limits on."""

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
    """Return the database that a run fills."""
    return local_file(folder, "warehouse.duckdb")


def materialize(folder: Path, sandbox: SandboxProcess, key: str) -> subprocess.CompletedProcess[str]:
    """Materialize everything; whatever the run leaves behind is in the folder."""
    home = folder / "dagster"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    settings = {
        "DAGSTER_HOME": str(home),
        "KLAVIYO_API_KEY": key,
        "KLAVIYO_BASE_URL": sandbox.base_url,
        "KLAVIYO_DUCKDB_PATH": str(database(folder).path),
    }
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "klaviyo_assets.definitions", "--select", "*"]
    result = subprocess.run(command, cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    (folder / "output.txt").write_text(result.stdout + result.stderr)
    return result


def places_that_hold(text: str, folder: Path) -> list[Path]:
    """Return the files in which a text stands, plain."""
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def failures(dagster_home: Path) -> str:
    """Return what the event log says of the steps that failed (several processes write to one terminal, where lines may get lost)."""
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        (run,) = instance.get_runs()
        records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
        events = [record.event_log_entry.dagster_event for record in records]
        return "\n".join(event.step_failure_data.error_display_string for event in events if event is not None)


def unlike_200(sandbox: SandboxProcess) -> dict[str, dict[str, int]]:
    """Return the endpoints that have answered with another status, and how often with which."""
    return {name: statuses for name, endpoint in sandbox.stats()["endpoints"].items() if set(statuses := endpoint["statuses"]) != {"200"}}


def test_all_nine_at_once_without_a_429_or_a_lock_error(new_account: NewAccount, tmp_path: Path) -> None:
    sandbox = new_account(limits=True)

    result = materialize(tmp_path, sandbox, ALL_SCOPES_KEY)

    assert result.returncode == 0, result.stderr[-3000:]
    assert unlike_200(sandbox) == {}
    for name in CATALOG.default_names:
        assert_frame_equal(table(database(tmp_path), name), truth(sandbox, name))
    assert places_that_hold(ALL_SCOPES_KEY, tmp_path) == []


def test_what_goes_wrong_leaves_no_key_behind_either(new_account: NewAccount, tmp_path: Path) -> None:
    sandbox = new_account()
    key = key_lacking("reviews:read")
    sandbox.faults(
        {"path": "/api/lists", "kind": "html403", "times": None},
        {"path": "/api/flows", "kind": "retired", "times": None},
        {"path": "/api/segments", "kind": "foreign_next", "times": None},
    )

    result = materialize(tmp_path, sandbox, key)

    assert result.returncode != 0
    output = failures(tmp_path / "dagster")
    for words in ("lacks the scope reviews:read", "blocked before it reached", "no longer serves the API revision", "it was not followed"):
        assert words in output
    for name in ("accounts", "campaigns", "events", "metrics", "profiles"):
        assert_frame_equal(table(database(tmp_path), name), truth(sandbox, name))
    assert places_that_hold(key, tmp_path) == []
