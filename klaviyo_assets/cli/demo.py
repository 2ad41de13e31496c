"""``klaviyo-assets demo``: run the main job once, from an account to a DuckDB file, and print what landed and what the marts answer.

Without ``KLAVIYO_API_KEY`` it reads the sandbox's account into a database of its own: the same account in each run, with changes since the last run.
With a key it does what the settings say, as Dagster would: no marts and no published copy unless they name them.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.groups import DEFAULT
from klaviyo_assets.catalog.selection import select
from klaviyo_assets.cli.answers import answers
from klaviyo_assets.cli.demo_marts import build_marts
from klaviyo_assets.cli.demo_settings import remove_settings_of_account, settings_for_sandbox, without_marts
from klaviyo_assets.cli.output import say, table
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.settings.options import API_KEY, BASE_URL, DUCKDB_PATH, OPTIONS, Settings, client_settings, from_environment
from klaviyo_assets.warehouse.default_name import DEFAULT_SCHEMA
from klaviyo_assets.warehouse.factory import warehouse_with

if TYPE_CHECKING:
    from klaviyo_assets.sandbox.process import SandboxProcess

DAGSTER_HOME = "DAGSTER_HOME"

_COMMAND = ["-m", "dagster", "job", "execute", "--module-name", "klaviyo_assets.definitions", "--job", "klaviyo_sync"]

_RUN_TAG = "klaviyo_assets/demo"
"""Run tag with the id of the demo, to distinguish its run from others of the same Dagster instance."""

_DAGSTER_YAML = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
"""Settings of a Dagster home that the demo creates: no telemetry, no questions."""


class _SandboxAccount(msgspec.Struct):
    """What reproduces the sandbox's account in each run: its start, and the times of its changes."""

    base: datetime
    changes: list[datetime] = []


class DemoFailed(KlaviyoAssetsError):
    """The demo cannot start; the text says why, and what to do."""


@dataclass(frozen=True)
class _DemoSource:
    """Where the demo reads from."""

    title: str
    settings: Settings
    environment: Mapping[str, str]
    truth: Mapping[str, int] | None = None

    @property
    def database(self) -> Path:
        """The DuckDB file."""
        return Path(self.settings.duckdb_path).absolute()

    @property
    def types(self) -> Catalog:
        """What the demo syncs."""
        return select(CATALOG, self.settings.resource_types or [DEFAULT])


def demo(folder: str) -> int:
    """Sync everything and print what landed.

    Args:
        folder: Folder for the sandbox's database and Dagster's home.

    Returns:
        0 if every table was filled and every check passed, else 1.
    """
    try:
        home = Path(folder).expanduser().absolute()
        home.mkdir(parents=True, exist_ok=True)
        with _source(home) as source:
            return _run(home, source)
    except KlaviyoAssetsError as error:
        say(str(error), error=True)
    except ModuleNotFoundError as error:
        if error.name not in {"starlette", "uvicorn"}:
            raise
        say(f"The sandbox needs {error.name}. What to do: pip install 'klaviyo-assets[sandbox]', or set {API_KEY}.", error=True)
    except (OSError, RuntimeError) as error:
        # RuntimeError: the home of an unknown user, or a folder that links to itself.
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        say(f"The folder {folder} cannot be used ({reason}). What to do: choose another one with --folder.", error=True)
    return 1


@contextlib.contextmanager
def _source(home: Path) -> Iterator[_DemoSource]:
    if os.environ.get(API_KEY, "").strip():
        settings = from_environment()
        key = parse_api_key(os.environ[API_KEY])
        KlaviyoClient(key, client_settings(settings))  # refuses settings that cannot be used
        yield _DemoSource(f"the account of {API_KEY} at {settings.base_url}", settings, {})
        return
    import starlette as _starlette  # noqa: F401  # the server runs in another process; fail early
    import uvicorn as _uvicorn  # noqa: F401

    # These two cannot be wrong: they are not the user's.
    os.environ |= {BASE_URL: "http://127.0.0.1", DUCKDB_PATH: str(home / "demo.duckdb")}
    settings = settings_for_sandbox(from_environment(), home)
    remove_settings_of_account()
    account = _remembered_account(home / "demo_account.json")
    say(f"{API_KEY} is not set: starting the sandbox, a local Klaviyo with a made-up account …")
    with contextlib.ExitStack() as stack:
        sandbox = _sandbox(account, stack)
        # A separate Dagster home: in the user's own, the real assets would look materialized.
        environment = {
            API_KEY: sandbox.keys.all_scopes,
            BASE_URL: sandbox.base_url,
            OPTIONS["resource_types"].variable: ",".join(settings.resource_types),
            DAGSTER_HOME: str(home / "dagster"),
        }
        yield _DemoSource(f"the sandbox at {sandbox.base_url}", settings, environment, sandbox.counts())


def _sandbox(account: _SandboxAccount, stack: contextlib.ExitStack) -> "SandboxProcess":
    from klaviyo_assets.sandbox.options import SandboxOptions
    from klaviyo_assets.sandbox.process import SandboxProcess

    try:
        options = SandboxOptions(base=account.base, change_at=tuple(account.changes), clock=datetime.now(UTC))
        return stack.enter_context(SandboxProcess(options))
    except (OSError, RuntimeError, ValueError) as error:
        raise DemoFailed(f"The sandbox did not start ({error}).", f"choose another --folder, or set {API_KEY}.") from error


def _remembered_account(path: Path) -> _SandboxAccount:
    """Return the account of the last demo with one more change, or a new account for the first demo.

    Raises:
        DemoFailed: If the file has unexpected content. The database next to it was read from that account, so a new account would not match.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        account = msgspec.json.decode(path.read_bytes(), type=_SandboxAccount)
        if not account.base <= min([now, *account.changes]) or max([account.base, *account.changes]) > now:
            raise ValueError("its dates are not in the past")
        account.changes.append(now)
    except FileNotFoundError:
        account = _SandboxAccount(now)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise DemoFailed(
            f"The record of the demo's account, {path}, cannot be used ({error}).",
            "delete it and the demo.duckdb next to it, or choose another --folder.",
        ) from error
    partial = path.with_suffix(".tmp")
    partial.write_bytes(msgspec.json.encode(account))
    partial.replace(path)
    return account


def _run(home: Path, source: _DemoSource) -> int:
    log, tag = home / "demo.log", uuid.uuid4().hex
    dagster_home = Path(source.environment.get(DAGSTER_HOME) or os.environ.get(DAGSTER_HOME) or home / "dagster").absolute()
    dagster_home.mkdir(parents=True, exist_ok=True)
    if not (dagster_home / "dagster.yaml").exists():
        (dagster_home / "dagster.yaml").write_text(_DAGSTER_YAML)
    os.environ |= {**source.environment, DUCKDB_PATH: str(source.database), DAGSTER_HOME: str(dagster_home)}
    say(f"Syncing {len(source.types)} resource types from {source.title}; the log goes to {log} …")
    command = [sys.executable, *_COMMAND, "--tags", msgspec.json.encode({_RUN_TAG: tag}).decode()]
    # In an empty folder, since a .env file in Dagster's working folder overrides the environment.
    with log.open("w") as output, tempfile.TemporaryDirectory() as empty:
        status = subprocess.run(  # noqa: S603
            command, cwd=empty, env=without_marts(os.environ), stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    landed = _landed(source.database)
    checks = _checks_of_run(tag)
    say("", _table(source, landed, checks), "")
    failed = [words for results in checks.values() for words in results if words]
    passed = sum(not words for results in checks.values() for words in results)
    say(*failed or [f"All {passed} checks passed." if not status else f"The run failed; {passed} checks passed before."])
    mismatches = _mismatches(source, landed)
    say(*_unannounced(source, landed), *mismatches)
    if not status:
        _say_answers(source)
    say(f"The database is {source.database} (schema {DEFAULT_SCHEMA}); `make dev` opens the Dagster UI.")
    if status or failed or mismatches:
        say(f"Something went wrong: see {log}.", error=True)
    return int(bool(status or failed or mismatches))


def _say_answers(source: _DemoSource) -> None:
    warehouse = warehouse_with(source.settings, str(source.database))
    if build_marts(source.settings, warehouse):
        for answer in answers(warehouse):
            say("", answer)
        say("")


def _mismatches(source: _DemoSource, landed: Mapping[str, "_Landed"]) -> list[str]:
    """Return a line for each table that does not hold what the sandbox holds."""
    truth = source.truth or {}
    return [
        f"klaviyo.{name} holds {_rows(landed, name):,} rows, the sandbox {truth[name]:,}."
        for name, entry in source.types.items()
        if name in truth and (_rows(landed, name) < truth[name] or (entry.replication.is_complete_read and _rows(landed, name) > truth[name]))
    ]


def _unannounced(source: _DemoSource, landed: Mapping[str, "_Landed"]) -> list[str]:
    """Return a line for each table with deleted rows that only a full sync finds."""
    truth = source.truth or {}
    return [
        f"klaviyo.{name} has {_rows(landed, name) - truth[name]:,} more rows than the sandbox: Klaviyo does not announce deleted and merged {name}; "
        "a sync with mode full marks them."
        for name, entry in source.types.items()
        if name in truth and not entry.replication.is_complete_read and _rows(landed, name) > truth[name]
    ]


def _rows(landed: Mapping[str, "_Landed"], name: str) -> int:
    return landed.get(name, _NOTHING).rows


@dataclass(frozen=True)
class _Landed:
    """A table after its last sync, in rows."""

    rows: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    outcome: str = "never synced"


_NOTHING = _Landed()


def _landed(database: Path) -> dict[str, _Landed]:
    import duckdb

    from klaviyo_assets.state.sync_log import SyncLog
    from klaviyo_assets.warehouse.ddl import table_exists
    from klaviyo_assets.warehouse.sql import quoted

    if not database.exists():
        return {}
    with duckdb.connect(str(database), read_only=True) as connection:
        if not table_exists(connection, DEFAULT_SCHEMA, SyncLog.NAME):
            return {}
        syncs = connection.execute(
            f"SELECT resource_type, rows_inserted, rows_updated, rows_deleted, outcome FROM {quoted(DEFAULT_SCHEMA)}.{SyncLog.NAME} "
            "QUALIFY row_number() OVER (PARTITION BY resource_type ORDER BY started_at DESC, finished_at DESC) = 1"
        ).fetchall()
        rows = {name: f"{quoted(DEFAULT_SCHEMA)}.{quoted(name)} WHERE _deleted_at IS NULL" for name, *_ in syncs}
        return {name: _Landed(_count(connection.execute(f"SELECT count(*) FROM {rows[name]}").fetchall()), *figures) for name, *figures in syncs}


def _count(rows: list[tuple[int]]) -> int:
    return rows[0][0]


def _checks_of_run(tag: str) -> dict[str, list[str]]:
    """Return an entry for each check of this demo's run, by resource type: empty if it passed, otherwise its message."""
    from dagster import DagsterError, DagsterEventType, DagsterInstance, RunsFilter

    results: dict[str, list[str]] = {}
    try:
        opened = DagsterInstance.get()
    except DagsterError as error:
        raise DemoFailed(f"Dagster's home {os.environ[DAGSTER_HOME]} cannot be used ({str(error).splitlines()[0]}). See its dagster.yaml.") from error
    with opened as instance:
        for run in instance.get_runs(filters=RunsFilter(tags={_RUN_TAG: tag})):
            for record in instance.get_records_for_run(run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION).records:
                event = record.event_log_entry.dagster_event
                if event is not None:
                    found = event.asset_check_evaluation_data
                    words = "" if found.passed else f"{found.asset_key.to_user_string()}: {found.check_name}: {found.description}"
                    results.setdefault(found.asset_key.path[-1], []).append(words)
    return results


def _table(source: _DemoSource, landed: Mapping[str, _Landed], checks: Mapping[str, Sequence[str]]) -> str:
    truth = source.truth
    header = ["TABLE", "ROWS", *(["IN THE SANDBOX"] if truth is not None else []), "NEW", "CHANGED", "GONE", "CHECKS", "SYNC"]
    rows = []
    for name in source.types:
        found, results = landed.get(name, _NOTHING), checks.get(name, ())
        passed = f"{sum(not line for line in results)}/{len(results)} passed"
        figures = [found.rows, *([truth.get(name, 0)] if truth is not None else []), found.inserted, found.updated, found.deleted]
        rows.append([f"klaviyo.{name}", *(f"{figure:,}" for figure in figures), passed, found.outcome])
    return table(header, rows, numbers=range(1, len(header) - 2))
