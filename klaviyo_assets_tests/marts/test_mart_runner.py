import shutil
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection
from filelock import FileLock

from klaviyo_assets.errors import NewerLayout, NotOurs
from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.mart_errors import InvalidModel, MartError, ModelFailed, ModelSkipped
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.marts.results import ModelResult, Outcome
from klaviyo_assets.warehouse import LocalFile, WarehouseBusy, WarehouseError
from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.marts.folders import own_models, write_model
from klaviyo_assets_tests.marts.stored import SCHEMA, KeptOpen, StoredAccount

pytestmark = pytest.mark.duckdb


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with empty tables, which each test copies: making them takes longer than most of the tests."""
    folder = tmp_path_factory.mktemp("prepared")
    warehouse = KeptOpen(folder / "shop.duckdb")
    StoredAccount(warehouse, "accounts", "metrics")
    warehouse.close()
    return folder / "shop.duckdb"


@pytest.fixture
def account(prepared: Path, tmp_path: Path) -> StoredAccount:
    shutil.copy(prepared, tmp_path / "shop.duckdb")
    return StoredAccount(KeptOpen(tmp_path / "shop.duckdb"))


def run(account: StoredAccount, folder: Path, *names: str) -> dict[str, ModelResult]:
    return {result.model: result for result in MartRunner(account.warehouse, SCHEMA, own_models(folder)).run(names or None, now=account.now)}


@pytest.mark.long
def test_all_packaged_models_run_in_an_empty_database(tmp_path: Path) -> None:
    models = read_models()
    results = list(MartRunner(KeptOpen(tmp_path / "shop.duckdb"), SCHEMA, models).run())

    assert [result.model for result in results] == [*models]
    for result in results:
        assert result.error is None
        undescribed = {*result.columns} - {*models[result.model].header.columns}
        assert not undescribed, f"{result.model} does not describe {undescribed}"
        assert not [check for check in result.checks if check.error or (check.rows and not check.warns)]


def test_sums_of_integers_are_not_hugeint_unless_they_are_huge(account: StoredAccount, tmp_path: Path) -> None:
    write_model(tmp_path / "m", "a", "SELECT 1 AS id, sum(i) AS total, NULL::HUGEINT AS none, 1e30::HUGEINT AS huge FROM range(4) t(i)")
    assert run(account, tmp_path / "m")["a"].columns == {"id": "INTEGER", "total": "BIGINT", "none": "BIGINT", "huge": "HUGEINT"}


@pytest.mark.parametrize(
    ("query", "number"),
    [("0.1::DOUBLE + 0.2::DOUBLE", 0.3), ("1::DOUBLE / 3", 0.333333333333), ("1234567890123.45::DECIMAL(18, 2)", 1234567890123.45), ("7::BIGINT", 7)],
)
def test_numbers_do_not_depend_on_the_order_of_additions(query: str, number: float, account: StoredAccount, tmp_path: Path) -> None:
    write_model(tmp_path / "m", "a", "SELECT 1 AS id", header=f"-- metadata share: SELECT {query}\n")
    assert run(account, tmp_path / "m")["a"].metadata == {"share": number}


def test_a_table_has_comments_and_numbers(account: StoredAccount, tmp_path: Path) -> None:
    header = "-- column id: The id.\n-- metadata total: sum(id)\n-- metadata later: SELECT max(id) FROM a\n-- metadata none: SELECT NULL\n"
    write_model(tmp_path / "m", "a", "SELECT unnest([1, 2]) AS id", header=header)
    result = run(account, tmp_path / "m")["a"]

    assert (result.outcome, result.rows, result.columns, result.metadata) == (Outcome.REBUILT, 2, {"id": "INTEGER"}, {"total": 3.0, "later": 2.0})
    described = [f"SELECT comment FROM duckdb_{kind}s() WHERE table_name = 'a'" for kind in ("column", "table")]
    comments = account.execute(" UNION ALL ".join(described))
    assert comments == [("The id.",), ("The model a.",)]


def test_models_read_the_account_and_the_events_that_exist(account: StoredAccount, tmp_path: Path) -> None:
    account.sync({"accounts": [{"id": "A", "timezone": "America/New_York", "preferred_currency": "usd"}]})
    account.sync(
        {
            "events": [
                {"id": "1", "datetime": account.now.replace(hour=3), "profile_id": "p"},
                {"id": "deleted", "datetime": account.now, "_deleted_at": account.now},
                {"id": "future", "datetime": account.now + timedelta(days=1)},
            ]
        }
    )
    write_model(tmp_path / "m", "a", "SELECT e.id, day, timezone, today, r.currency FROM live_events AS e, mart_run AS r")
    account.build(own_models(tmp_path / "m"))

    today = account.now.date()
    assert account.rows("a") == [("1", today - timedelta(days=1), "America/New_York", today, "USD")]


def test_missing_tables_and_columns_are_empty(account: StoredAccount, tmp_path: Path) -> None:
    account.sync({"metrics": [{"id": "m", "name": "Placed Order"}]})
    account.execute("ALTER TABLE metrics DROP COLUMN integration")
    write_model(tmp_path / "m", "a", "SELECT m.id, m.integration, c.name FROM metrics AS m LEFT JOIN campaigns AS c ON true")
    account.build(own_models(tmp_path / "m"))

    assert account.rows("a") == [("m", None, None)]


def test_a_failing_model_fails_those_that_need_it_and_no_other(account: StoredAccount, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    path = write_model(folder, "bad", "SELECT 1 AS id,\n  nothing FROM live_events")
    write_model(folder, "after_bad", "FROM bad")
    write_model(folder, "last", "FROM after_bad")
    write_model(folder, "good", "SELECT 1 AS id")
    write_model(folder, "reads_a_file", "SELECT 1 AS id\nFROM read_csv('missing.csv')")
    results = run(account, folder)

    assert isinstance(results["reads_a_file"].error, ModelFailed)
    assert "IO Error: No files found" in results["reads_a_file"].error.summary
    assert results["reads_a_file"].error.advice.startswith("Check the source that the model reads")

    assert isinstance(results["bad"].error, ModelFailed)
    assert results["bad"].error.summary.startswith(f'{path}, line 5: Binder Error: Referenced column "nothing" not found')
    assert isinstance(results["after_bad"].error, ModelSkipped)
    assert results["after_bad"].error.summary == "after_bad was not built: it needs bad."
    assert results["last"].outcome is Outcome.SKIPPED
    assert results["good"].outcome is Outcome.REBUILT


def test_a_failing_model_leaves_its_table_as_it_was(account: StoredAccount, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    write_model(folder, "a", "SELECT 1 AS id")
    run(account, folder)
    write_model(folder, "a", "SELECT CAST('x' AS INTEGER) AS id")
    error = run(account, folder)["a"].error

    assert isinstance(error, ModelFailed)
    assert "a.sql, line 4: Conversion Error" in error.summary
    assert account.rows("a") == [(1,)]


def test_a_model_whose_source_was_not_built_is_skipped(account: StoredAccount, tmp_path: Path) -> None:
    write_model(tmp_path / "m", "a", "SELECT 1 AS id")
    write_model(tmp_path / "m", "b", "FROM a")
    runner = MartRunner(account.warehouse, SCHEMA, own_models(tmp_path / "m"))
    (result,) = runner.run_only(["b"])

    assert isinstance(result.error, ModelSkipped)
    assert result.error.advice == "Materialize a first."


def test_a_described_column_must_be_there(account: StoredAccount, tmp_path: Path) -> None:
    write_model(tmp_path / "m", "a", "SELECT 1 AS id", header="-- column other: Not there.\n")
    error = run(account, tmp_path / "m")["a"].error

    assert isinstance(error, InvalidModel)
    assert "a.sql, line 3: The statement returns no column other. It returns id." in error.summary


@pytest.mark.parametrize("column", ["day::TIMESTAMP AS day", "strftime(day, '%Y%m%d') AS day", "min(datetime) AS day"])
def test_days_of_a_model_must_be_dates(column: str, account: StoredAccount, tmp_path: Path) -> None:
    """Others would not be found among the days that have changed."""
    sql = f"SELECT {column}, count(*) AS events FROM live_events GROUP BY live_events.day"
    write_model(tmp_path / "m", "a", sql, key="day", header="-- incremental: day\n-- column day: Day.\n")
    write_model(tmp_path / "m", "b", "SELECT 1 AS id")

    results = run(account, tmp_path / "m", "a", "b")

    assert isinstance(results["a"].error, InvalidModel)
    assert "incremental by day, and its column day is a " in str(results["a"].error)
    assert results["b"].error is None


def test_sums_that_are_nearly_zero_have_the_version_of_zero(account: StoredAccount, tmp_path: Path) -> None:
    versions = []
    for number in ("0.0", "0.1::DOUBLE + 0.2 - 0.3", "-0.0::DOUBLE", "1e-8::DOUBLE"):
        write_model(tmp_path / "m", "a", f"SELECT 1 AS id, {number}::DOUBLE AS value")
        versions.append(run(account, tmp_path / "m", "a")["a"].version)

    assert versions[0] == versions[1] == versions[2] != versions[3]


def test_checks_find_rows_and_say_which(account: StoredAccount, tmp_path: Path) -> None:
    header = "-- check even: SELECT * FROM a WHERE id % 2 = 1\n-- warn broken: SELECT nothing FROM a\n"
    write_model(tmp_path / "m", "a", "SELECT unnest([1, 1, 2]) AS id, 'Ann' AS name", header=header)
    key, even, broken = run(account, tmp_path / "m")["a"].checks

    assert (key.name, key.rows, key.examples) == ("unique_key", 1, ({"id": "1"},))
    # Only the key is shown: other values may identify a person.
    assert (even.rows, even.passed, even.warns, even.examples) == (2, False, False, ({"id": "1"}, {"id": "1"}))
    assert (broken.rows, broken.passed, broken.warns) == (None, False, True)
    assert broken.error.startswith("line 4: Binder Error")


def test_a_view_of_the_user_gives_way_to_a_model(account: StoredAccount, tmp_path: Path) -> None:
    write_model(tmp_path / "m", "a", "SELECT 1 AS id")
    run(account, tmp_path / "m")
    account.execute("DROP TABLE klaviyo_marts.a")
    account.execute("CREATE VIEW klaviyo_marts.a AS SELECT 2 AS id")
    run(account, tmp_path / "m")

    assert account.rows("a") == [(1,)]


def test_a_table_of_another_program_is_not_replaced(account: StoredAccount, tmp_path: Path) -> None:
    account.execute("CREATE SCHEMA klaviyo_marts")
    account.execute("CREATE TABLE klaviyo_marts.a AS SELECT 7 AS theirs")
    write_model(tmp_path / "m", "a", "SELECT 1 AS id")
    write_model(tmp_path / "m", "b", "SELECT 1 AS id")
    results = run(account, tmp_path / "m")

    assert isinstance(results["a"].error, NotOurs)
    assert account.rows("a") == [(7,)]
    assert results["b"].outcome is Outcome.REBUILT


def test_a_newer_layout_is_refused(account: StoredAccount, tmp_path: Path) -> None:
    account.execute("UPDATE _layout SET version = 99")
    write_model(tmp_path / "m", "a", "SELECT 1 AS id")

    with pytest.raises(NewerLayout):
        run(account, tmp_path / "m")


def test_an_unknown_model_is_refused(account: StoredAccount, tmp_path: Path) -> None:
    with pytest.raises(MartError, match="There is no model a"):
        run(account, tmp_path, "a")


def test_a_reader_sees_all_of_a_build_or_nothing(account: StoredAccount, tmp_path: Path) -> None:
    """A build that fails after its table was made, here in a comment, leaves no trace."""
    write_model(tmp_path / "m", "a", "SELECT 1 AS id", header="-- column id: Id.\n")
    account.warehouse = local_file(tmp_path, "shop.duckdb")
    run(account, tmp_path / "m")
    write_model(tmp_path / "m", "a", "SELECT 2 AS id, 3 AS id", header="-- column id: Id.\n-- column other: Missing.\n")
    run(account, tmp_path / "m")

    with duckdb.connect(str(account.warehouse.path), read_only=True) as reader:
        assert reader.execute("SELECT * FROM klaviyo_marts.a").fetchall() == [(1,)]
        assert reader.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%building'").fetchall() == [(0,)]


def test_a_model_that_needs_too_much_memory_fails_alone(account: StoredAccount, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    write_model(folder, "big", "SELECT list(i ORDER BY i DESC) AS id FROM range(100_000_000) AS t(i)")
    write_model(folder, "good", "SELECT 1 AS id")
    config = {"memory_limit": "60MB", "max_temp_directory_size": "1MB"}
    account.warehouse = LocalFile(DuckDBResource(database=str(tmp_path / "shop.duckdb"), connection_config=config))
    results = run(account, folder)

    assert isinstance(results["big"].error, WarehouseError)
    assert results["good"].outcome is Outcome.REBUILT


def test_a_number_that_cannot_be_computed_is_reported_without_its_value(account: StoredAccount, tmp_path: Path) -> None:
    numbers = "-- metadata broken: SELECT nothing FROM a\n-- metadata who: SELECT max(email) FROM a\n-- metadata day: SELECT DATE '2026-03-01'\n"
    write_model(tmp_path / "m", "a", "SELECT 1 AS id, 'ann@example.com' AS email", header=f"{numbers}-- metadata rows: count(*)\n")
    result = run(account, tmp_path / "m")["a"]

    assert (result.outcome, result.metadata) == (Outcome.REBUILT, {"rows": 1.0})
    _, broken, who, day = result.checks
    assert all((check.rows, check.passed, check.warns) == (None, False, True) for check in (broken, who, day))
    assert broken.error.startswith('metadata, line 3: Binder Error: Referenced column "nothing" not found')
    assert (who.error, day.error) == ("metadata, line 4: The value is not a number.", "metadata, line 5: The value is not a number.")


def test_errors_of_duckdb_show_no_values(account: StoredAccount, tmp_path: Path) -> None:
    header = "-- metadata who: SELECT max(email)::INTEGER FROM a\n-- warn broken: FROM a WHERE email::INTEGER = 1\n"
    write_model(tmp_path / "m", "a", "SELECT 1 AS id, 'ann@example.com' AS email", header=header)
    write_model(tmp_path / "m", "b", "SELECT id, email::INTEGER AS number FROM a")
    results = run(account, tmp_path / "m")

    _, broken, who = sorted(results["a"].checks, key=lambda check: ["unique_key", "broken", "who"].index(check.name))
    failed = results["b"].error
    assert isinstance(failed, ModelFailed)
    for text in (broken.error, who.error, str(failed)):
        assert "Conversion Error: Could not convert string … to INT32" in text
        assert "ann" not in text
    assert "email" in failed.summary, "the column is named"


class OtherServer(KeptOpen):
    """A database in which statements that read from a server fail: the extension for that is not installed everywhere."""

    def __init__(self, path: Path, error: duckdb.Error) -> None:
        super().__init__(path)
        self.error = error

    @contextmanager
    def connection(self) -> Iterator[DuckDBPyConnection]:
        with super().connection() as connection:
            yield cast(DuckDBPyConnection, _Failing(connection, self.error))


class _Failing:
    def __init__(self, connection: DuckDBPyConnection, error: duckdb.Error) -> None:
        self._connection, self._error = connection, error

    def execute(self, statement: str, *arguments: Any) -> DuckDBPyConnection:
        if "https://" in statement and statement.startswith("CREATE TABLE"):
            raise self._error
        return self._connection.execute(statement, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.mark.parametrize(
    "error",
    [
        duckdb.HTTPException("HTTP Error: Request returned HTTP 503 for HTTP GET to 'https://example.com/a.csv?signature=abc'"),
        duckdb.IOException("IO Error: Could not establish connection error for HTTP HEAD to 'https://example.com/a.csv?signature=abc'"),
    ],
)
def test_a_server_that_fails_is_a_failure_of_its_model_and_not_of_the_sql(error: duckdb.Error, account: StoredAccount, tmp_path: Path) -> None:
    write_model(tmp_path / "m", "a", "SELECT 1 AS id FROM read_csv('https://example.com/a.csv?signature=abc')")
    write_model(tmp_path / "m", "b", "SELECT 1 AS id")
    account.warehouse = OtherServer(tmp_path / "shop.duckdb", error)
    results = run(account, tmp_path / "m")

    failed = results["a"].error
    assert isinstance(failed, ModelFailed)
    assert "to 'https://example.com/a.csv?…'" in failed.summary
    assert failed.advice.startswith("Check the source that the model reads, then materialize the model again.")
    assert results["b"].outcome is Outcome.REBUILT


@pytest.mark.parametrize("source", ["read_csv('https://localhost:1/x.csv')", "sqlite_scan('x.sqlite', 't')"])
@pytest.mark.parametrize("loads", [False, True], ids=["as installed", "loads extensions"])
def test_a_source_that_needs_an_extension_is_a_failure_of_its_model(loads: bool, source: str, account: StoredAccount, tmp_path: Path) -> None:
    config = {"autoinstall_known_extensions": False, "autoload_known_extensions": loads, "extension_directory": str(tmp_path / "extensions")}
    account.warehouse = LocalFile(DuckDBResource(database=str(tmp_path / "shop.duckdb"), connection_config=config))
    path = write_model(tmp_path / "m", "a", f"SELECT 1 AS id\nFROM {source}")
    write_model(tmp_path / "m", "b", "SELECT 1 AS id")
    results = run(account, tmp_path / "m")

    error = results["a"].error
    assert isinstance(error, ModelFailed)
    assert error.summary.startswith(str(path))
    assert "extension" in error.summary
    assert results["b"].outcome is Outcome.REBUILT


def test_a_database_that_stays_locked_ends_the_run_instead_of_failing_each_model(account: StoredAccount, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_model(tmp_path / "m", name, "SELECT 1 AS id")
    path = tmp_path / "shop.duckdb"
    account.warehouse = LocalFile(DuckDBResource(database=str(path)), lock_timeout=0)
    results = MartRunner(account.warehouse, SCHEMA, own_models(tmp_path / "m")).run(now=account.now)
    assert next(results).outcome is Outcome.REBUILT

    with FileLock(f"{path}.lock"), pytest.raises(WarehouseBusy, match=r"Other syncs kept .*shop\.duckdb locked"):
        next(results)
    assert list(results) == []


@pytest.mark.long
def test_values_that_a_rule_removes_but_the_file_keeps_are_logged(
    account: StoredAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    account.warehouse = local_file(tmp_path, "shop.duckdb")
    write_model(tmp_path / "m", "a", "SELECT DISTINCT 1 AS id FROM live_events")
    run(account, tmp_path / "m")
    account.execute("CREATE TABLE IF NOT EXISTS _field_rules (resource_type VARCHAR, field VARCHAR, action VARCHAR, salt_fingerprint VARCHAR)")
    account.execute("INSERT INTO _field_rules VALUES ('events', 'uuid', 'drop', NULL)")

    with monkeypatch.context() as patch:
        patch.setattr("klaviyo_assets.warehouse.compaction.shutil.disk_usage", lambda _: namedtuple("usage", "free")(1000))
        assert run(account, tmp_path / "m")["a"].error is None

    assert "Values from before a field rule may still be in free blocks of the file; the next sync removes them." in caplog.text
    assert "Free disk space; the next sync tries again." in caplog.text
    assert account.warehouse.compactions == ""
    account.warehouse.compact_if_requested()
    assert account.warehouse.compactions


@pytest.mark.parametrize("zone", ["Mars/Olympus", "America", "../etc/localtime", "\0"])
def test_days_are_those_of_utc_if_the_time_zone_of_the_account_is_not_known_here(zone: str, account: StoredAccount, tmp_path: Path) -> None:
    account.sync({"accounts": [{"id": "A", "timezone": zone, "preferred_currency": "usd"}]})
    write_model(tmp_path / "m", "a", "SELECT 1 AS id, timezone, currency FROM mart_run")
    account.build(own_models(tmp_path / "m"))

    assert account.rows("a") == [(1, "UTC", "USD")]
