"""Processes on one machine share the account's slowest rate limit, whether they use different databases or none."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess

NewAccount = Callable[..., SandboxProcess]

SYNC = """
import dagster as dg
from klaviyo_assets.definitions import defs

job = defs.get_implicit_global_asset_job_def()
result = job.execute_in_process(asset_selection=[dg.AssetKey(["klaviyo", "accounts"])], raise_on_error=True)
raise SystemExit(0 if result.success else 1)
"""


def start(sandbox: SandboxProcess, folder: Path, *command: str) -> "subprocess.Popen[str]":
    folder.mkdir()
    environment = {
        "KLAVIYO_API_KEY": ALL_SCOPES_KEY,
        "KLAVIYO_BASE_URL": sandbox.base_url,
        "KLAVIYO_DUCKDB_PATH": str(folder / "warehouse.duckdb"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    return subprocess.Popen(
        [sys.executable, *command], cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def accounts_statuses(sandbox: SandboxProcess) -> dict[str, int]:
    statuses: dict[str, int] = sandbox.stats()["endpoints"]["/api/accounts"]["statuses"]
    return statuses


@pytest.mark.slow
def test_four_concurrent_checks_get_no_429(new_account: NewAccount, tmp_path: Path) -> None:
    sandbox = new_account(limits=True)

    processes = [start(sandbox, tmp_path / str(number), "-m", "klaviyo_assets.cli", "check") for number in range(4)]
    outputs = [process.communicate() for process in processes]

    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert accounts_statuses(sandbox) == {"200": 4}


@pytest.mark.slow
def test_syncs_into_two_databases_get_no_429(new_account: NewAccount, tmp_path: Path) -> None:
    sandbox = new_account(limits=True)

    processes = [start(sandbox, tmp_path / str(number), "-c", SYNC) for number in range(2)]
    outputs = [process.communicate() for process in processes]

    # The second sync may fail because the first one is syncing the same type, but there must be no 429.
    assert 0 in [process.returncode for process in processes], outputs
    assert set(accounts_statuses(sandbox)) == {"200"}
