"""Shared fixtures."""

import itertools
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
from hypothesis import settings

from klaviyo_assets.api import client
from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.catalog.endpoint import TIER_XL
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile, compaction
from klaviyo_assets_tests import forked_sandbox
from klaviyo_assets_tests.accounts import local_file, small

# A busy machine must not fail a test.
settings.register_profile("no deadline", settings(), deadline=None)
settings.load_profile("no deadline")


def pytest_report_header() -> str:
    return f"duckdb: {duckdb.__version__}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest tests first; otherwise, one worker may still run one when the others have finished."""
    items.sort(key=lambda item: (item.get_closest_marker("slow") is None, item.get_closest_marker("long") is None))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the machine's settings from the environment of each test."""
    for name in list(os.environ):
        if name.startswith("KLAVIYO_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def new_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An iterator of paths that do not exist yet. Unlike ``mktemp``, it does not list all earlier folders each time."""
    root = tmp_path_factory.mktemp("temporary")
    return (root / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def own_temporary_files(new_folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolate what processes share through the temporary folder (locks, rate limits)."""
    folder = next(new_folders)
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))


@pytest.fixture(autouse=True)
def only_marked_tests_start_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In ``make test-quick``, fail unmarked tests that start a process, because processes are slow."""
    if "not long" not in request.config.option.markexpr:
        return
    start = subprocess.Popen.__init__

    def start_a_sandbox(self: Any, args: Any, *rest: Any, **options: Any) -> None:
        if forked_sandbox.__name__ not in args:
            pytest.fail(f"This test starts a process ({args}): mark it with pytest.mark.long.")
        start(self, args, *rest, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", start_a_sandbox)


@pytest.fixture
def unpaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every endpoint the highest rate limit, for tests that would mostly wait: they run whole jobs against a sandbox without limits."""
    monkeypatch.setattr(client, "RateLimiter", lambda name, _limit, share, _shared: RateLimiter(name, TIER_XL, share))


@pytest.fixture(scope="session")
def account() -> Iterator[SandboxProcess]:
    """A small read-only account.

    It is an hour old: in its first hour late events still arrive, which could fall between a sync and its comparison.
    """
    now = datetime.now(UTC)
    with small(base=now - timedelta(minutes=61), clock=now) as sandbox:
        yield sandbox


@pytest.fixture
def new_account() -> Iterator[Callable[..., SandboxProcess]]:
    """A factory of small accounts with other options, one per test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(small(**options))


@pytest.fixture
def warehouse(tmp_path: Path) -> LocalFile:
    """An empty DuckDB file."""
    return local_file(tmp_path)


@pytest.fixture
def plain_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalFile:
    """An uncompressed database, even after compaction, so that tests can search its bytes."""
    plain = {"force_compression": "uncompressed"}
    # A column's own compression would take precedence.
    monkeypatch.setattr(LocalFile, "capabilities", replace(LocalFile.capabilities, json_column="JSON"))
    compact = compaction.compact
    monkeypatch.setattr(compaction, "compact", lambda path, spill, settings: compact(path, spill, {**settings, **plain}))
    config = {"storage_compatibility_version": "v1.5.0", **plain}
    return LocalFile(DuckDBResource(database=str(tmp_path / "klaviyo.duckdb"), connection_config=config))


@pytest.fixture
def for_everybody() -> Iterator[Path]:
    """A folder that every user can access; pytest's folders are private."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
