"""Fixtures that every room uses."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile, compaction
from klaviyo_assets_tests import forked_sandbox
from klaviyo_assets_tests.accounts import local_file, small


def pytest_report_header() -> str:
    return f"duckdb: {duckdb.__version__}"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine may reach a test."""
    for name in list(os.environ):
        if name.startswith("KLAVIYO_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def own_temporary_files(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What processes share through the folder for temporary files (locks, rate limits) may not reach another test."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))


@pytest.fixture(autouse=True)
def only_marked_tests_start_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """``make test-quick`` leaves out what starts processes: there, a test that does without saying so fails, since it would make it slow again."""
    if "not long" not in request.config.option.markexpr:
        return
    start = subprocess.Popen.__init__

    def start_a_sandbox(self: Any, args: Any, *rest: Any, **options: Any) -> None:
        if forked_sandbox.__name__ not in args:
            pytest.fail(f"This test starts a process ({args}): mark it with pytest.mark.long.")
        start(self, args, *rest, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", start_a_sandbox)


@pytest.fixture(scope="session")
def account() -> Iterator[SandboxProcess]:
    """A small account that nobody changes.

    It is an hour old: in the first one some of its events are still to come, and would come between a sync and what a test compares it with.
    """
    now = datetime.now(UTC)
    with small(base=now - timedelta(minutes=61), clock=now) as sandbox:
        yield sandbox


@pytest.fixture
def new_account() -> Iterator[Callable[..., SandboxProcess]]:
    """Starts a small account of the test's own, with other options."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(small(**options))


@pytest.fixture
def warehouse(tmp_path: Path) -> LocalFile:
    """An empty DuckDB file."""
    return local_file(tmp_path)


@pytest.fixture
def plain_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalFile:
    """A database that does not compress, so that a search through its bytes means something; nor does it when it is written anew."""
    plain = {"force_compression": "uncompressed"}
    # What a column declares for itself would count more.
    monkeypatch.setattr(LocalFile, "capabilities", replace(LocalFile.capabilities, json_column="JSON"))
    compact = compaction.compact
    monkeypatch.setattr(compaction, "compact", lambda path, spill, settings: compact(path, spill, {**settings, **plain}))
    config = {"storage_compatibility_version": "v1.5.0", **plain}
    return LocalFile(DuckDBResource(database=str(tmp_path / "klaviyo.duckdb"), connection_config=config))


@pytest.fixture
def for_everybody() -> Iterator[Path]:
    """A folder that every user of the machine can reach; those of pytest are for their owner."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
