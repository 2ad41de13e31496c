"""A run that is terminated in the UI, with a real web server, run process and step process."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.accounts import local_file, query, sync, table, truth

pytestmark = pytest.mark.slow

NewAccount = Callable[..., SandboxProcess]

DAGSTER_YAML = """
telemetry:
  enabled: false
run_coordinator:  # starts runs without the daemon
  module: dagster.core.run_coordinator
  class: DefaultRunCoordinator
"""

LAUNCH = """
mutation {
  launchRun(executionParams: {mode: "default", runConfigData: {}, selector: {
    repositoryLocationName: "klaviyo_assets.definitions", repositoryName: "__repository__", jobName: "__ASSET_JOB",
    assetSelection: [{path: ["klaviyo", "events"]}], assetCheckSelection: []}}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
TERMINATE = """
mutation($runId: String!) { terminateRun(runId: $runId, terminatePolicy: SAFE_TERMINATE) { __typename ... on TerminateRunFailure { message } } }
"""
STATUS = "query($runId: ID!) { runOrError(runId: $runId) { ... on Run { status } } }"


class WebServer:
    """Dagster's web server, with the requests that the UI sends."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def query(self, text: str, **variables: str) -> Any:
        response = self._client.post("/graphql", json={"query": text, "variables": variables}).json()
        (result,) = response["data"].values()
        return result

    def is_up(self) -> bool:
        try:
            return self._client.get("/server_info").is_success
        except httpx.TransportError:
            return False


@contextmanager
def web_server(folder: Path, sandbox: SandboxProcess) -> Iterator[WebServer]:
    home = folder / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(DAGSTER_YAML)
    environment = {
        "DAGSTER_HOME": str(home),
        "KLAVIYO_API_KEY": ALL_SCOPES_KEY,
        "KLAVIYO_BASE_URL": sandbox.base_url,
        "KLAVIYO_DUCKDB_PATH": str(folder / "warehouse.duckdb"),
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "-m", "klaviyo_assets.definitions", "-h", "127.0.0.1", "-p", str(port)]
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            server = WebServer(client)
            wait_until(server.is_up)
            yield server
    finally:
        process.terminate()
        process.wait(60)


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1_200):
        if condition():
            return
        time.sleep(0.1)
    raise TimeoutError("the condition did not hold within two minutes")


def test_next_sync_resumes_a_run_terminated_in_the_ui(new_account: NewAccount, tmp_path: Path) -> None:
    sandbox, warehouse = new_account(), local_file(tmp_path, "warehouse.duckdb")
    sandbox.faults({"path": "/api/events", "kind": "slow", "seconds": 50, "times": None, "after": 6})
    with web_server(tmp_path, sandbox) as server:
        launched = server.query(LAUNCH)
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id = launched["run"]["runId"]
        wait_until(lambda: sandbox.stats()["faults"].get("slow", 0) > 0)

        terminated = server.query(TERMINATE, runId=run_id)

        assert terminated["__typename"] == "TerminateRunSuccess", terminated
        wait_until(lambda: server.query(STATUS, runId=run_id)["status"] == "CANCELED")
    sandbox.clear_faults()

    wait_until(lambda: query(warehouse, "SELECT outcome FROM _syncs WHERE run_id IS NOT NULL") != [("running",)])
    ((outcome, error),) = query(warehouse, "SELECT outcome, error FROM _syncs")
    assert outcome == "failed"
    assert "Stopped from outside" in error

    report = sync("events", sandbox, warehouse)

    assert report.resumed
    assert_frame_equal(table(warehouse, "events"), truth(sandbox, "events"))
