"""``klaviyo-assets demo``: the main job once, from an account to a DuckDB file, and a table of what landed.

Without ``KLAVIYO_API_KEY`` the account is the sandbox's: the same one at each run, in which something has happened since the last.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.model import Whole
from klaviyo_assets.settings import API_KEY, BASE_URL, DUCKDB_PATH, InvalidSetting, from_environment

_COMMAND = ["-m", "dagster", "asset", "materialize", "--module-name", "klaviyo_assets.definitions", "--select", "*"]

_DAGSTER_YAML = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
"""Settings of a Dagster home that the demo makes: nothing is sent anywhere, no questions are asked."""


class _Account(msgspec.Struct):
    """What makes the sandbox's account the same at each run: when it began, and when things happened in it."""

    base: datetime
    changes: list[datetime] = []


@dataclass(frozen=True)
class _Source:
    """Where the demo reads from."""

    title: str
    environment: Mapping[str, str]
    truth: Mapping[str, int] | None = None


def demo(folder: str) -> int:
    """Sync everything and print what landed.

    Args:
        folder: Folder for the sandbox's database and Dagster's home.

    Returns:
        0 if every table was filled and every check passed, else 1.
    """
    home = Path(folder).absolute()
    home.mkdir(parents=True, exist_ok=True)
    try:
        with _source(home) as source:
            return _run(home, source)
    except InvalidSetting as error:
        print(error, file=sys.stderr)
    except ModuleNotFoundError as error:
        if error.name not in {"starlette", "uvicorn"}:
            raise
        print(f"The sandbox needs {error.name}. What to do: pip install 'klaviyo-assets[sandbox]', or set {API_KEY}.", file=sys.stderr)
    return 1


@contextlib.contextmanager
def _source(home: Path) -> Iterator[_Source]:
    if os.environ.get(API_KEY):
        settings = from_environment()
        yield _Source(f"the account of {API_KEY} at {settings.base_url}", {DUCKDB_PATH: str(Path(settings.duckdb_path).absolute())})
        return
    import starlette as _starlette  # noqa: F401  # the server runs in another process: say here if it cannot
    import uvicorn as _uvicorn  # noqa: F401

    from klaviyo_assets.sandbox.options import SandboxOptions
    from klaviyo_assets.sandbox.process import SandboxProcess

    account = _remembered_account(home / "demo_account.json")
    print(f"{API_KEY} is not set: starting the sandbox, a local Klaviyo with a made-up account …", flush=True)
    with SandboxProcess(SandboxOptions(base=account.base, change_at=tuple(account.changes), clock=datetime.now(UTC))) as sandbox:
        environment = {API_KEY: sandbox.keys.all_scopes, BASE_URL: sandbox.base_url, DUCKDB_PATH: str(home / "demo.duckdb")}
        yield _Source(f"the sandbox at {sandbox.base_url}", environment, sandbox.counts())


def _remembered_account(path: Path) -> _Account:
    """Return the account of the last demo with something new in it, or a fresh one."""
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        account = msgspec.json.decode(path.read_bytes(), type=_Account)
        account.changes.append(now)
    except (OSError, msgspec.DecodeError):
        account = _Account(now)
    path.write_bytes(msgspec.json.encode(account))
    return account


def _run(home: Path, source: _Source) -> int:
    log = home / "demo.log"
    dagster_home = Path(os.environ.get("DAGSTER_HOME") or home / "dagster").absolute()
    dagster_home.mkdir(parents=True, exist_ok=True)
    if not (dagster_home / "dagster.yaml").exists():
        (dagster_home / "dagster.yaml").write_text(_DAGSTER_YAML)
    environment = {**os.environ, **source.environment, "DAGSTER_HOME": str(dagster_home)}
    os.environ["DAGSTER_HOME"] = str(dagster_home)
    print(f"Syncing {len(CATALOG)} resource types from {source.title}; the log goes to {log} …", flush=True)
    # In an empty folder, since Dagster lets a .env file of the working folder override the environment that is given here.
    with log.open("w") as output, tempfile.TemporaryDirectory() as empty:
        status = subprocess.run(  # noqa: S603
            [sys.executable, *_COMMAND], cwd=empty, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    landed = _landed(Path(source.environment[DUCKDB_PATH]))
    checks = _checks_of_last_run()
    print()
    print(_table(landed, checks, source.truth))
    print()
    failed = [words for results in checks.values() for words in results if words]
    passed = sum(not words for results in checks.values() for words in results)
    print("\n".join(failed) if failed else f"All {passed} checks passed." if not status else f"The run broke off; {passed} checks had passed.")
    missed = _missed(landed, source.truth or {})
    for line in (*_untold(landed, source.truth or {}), *missed):
        print(line)
    print(f"The database is {source.environment[DUCKDB_PATH]} (schema klaviyo); `make dev` opens the Dagster UI.")
    if status or failed or missed:
        print(f"Something went wrong: see {log}.", file=sys.stderr)
    return int(bool(status or failed or missed))


def _missed(landed: Mapping[str, "_Landed"], truth: Mapping[str, int]) -> list[str]:
    """Return a line for each table that does not hold what the sandbox holds."""
    return [
        f"klaviyo.{name} holds {_rows(landed, name):,} rows, the sandbox {truth[name]:,}."
        for name, entry in CATALOG.items()
        if name in truth and (_rows(landed, name) < truth[name] or (isinstance(entry.reading, Whole) and _rows(landed, name) > truth[name]))
    ]


def _untold(landed: Mapping[str, "_Landed"], truth: Mapping[str, int]) -> list[str]:
    """Return a line for each table with rows that are gone from the account without anybody being told."""
    return [
        f"klaviyo.{name} holds {_rows(landed, name) - truth[name]:,} rows more than the sandbox: of deleted and merged {name} Klaviyo tells nobody; "
        "a sync with mode full marks them."
        for name, entry in CATALOG.items()
        if name in truth and not isinstance(entry.reading, Whole) and _rows(landed, name) > truth[name]
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

    if not database.exists():
        return {}
    with duckdb.connect(str(database), read_only=True) as connection:
        if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE schema_name = 'klaviyo' AND table_name = '_syncs'").fetchall():
            return {}
        syncs = connection.execute(
            "SELECT resource_type, rows_inserted, rows_updated, rows_deleted, outcome FROM klaviyo._syncs "
            "QUALIFY row_number() OVER (PARTITION BY resource_type ORDER BY started_at DESC, finished_at DESC) = 1"
        ).fetchall()
        return {
            name: _Landed(_count(connection.execute(f'SELECT count(*) FROM klaviyo."{name}" WHERE _deleted_at IS NULL').fetchall()), *figures)
            for name, *figures in syncs
        }


def _count(rows: list[tuple[int]]) -> int:
    return rows[0][0]


def _checks_of_last_run() -> dict[str, list[str]]:
    """Return by resource type one entry for each check of the last run: empty if it passed, else what it says."""
    from dagster import DagsterEventType, DagsterInstance

    results: dict[str, list[str]] = {}
    with DagsterInstance.get() as instance:
        for run in instance.get_runs(limit=1):
            for record in instance.get_records_for_run(run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION).records:
                event = record.event_log_entry.dagster_event
                if event is not None:
                    found = event.asset_check_evaluation_data
                    words = "" if found.passed else f"{found.asset_key.to_user_string()}: {found.check_name}: {found.description}"
                    results.setdefault(found.asset_key.path[-1], []).append(words)
    return results


def _table(landed: Mapping[str, _Landed], checks: Mapping[str, Sequence[str]], truth: Mapping[str, int] | None) -> str:
    header = ["TABLE", "ROWS", *(["IN THE SANDBOX"] if truth is not None else []), "NEW", "CHANGED", "GONE", "CHECKS", "SYNC"]
    rows = [header]
    for name in CATALOG:
        found, results = landed.get(name, _NOTHING), checks.get(name, ())
        passed = f"{sum(not line for line in results)}/{len(results)} passed"
        figures = [found.rows, *([truth.get(name, 0)] if truth is not None else []), found.inserted, found.updated, found.deleted]
        rows.append([f"klaviyo.{name}", *(f"{figure:,}" for figure in figures), passed, found.outcome])
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    numbers = range(1, len(header) - 2)
    return "\n".join(
        "  ".join(cell.rjust(widths[at]) if at in numbers else cell.ljust(widths[at]) for at, cell in enumerate(row)).rstrip() for row in rows
    )
