"""The coverage table: a child type has a row per parent, so the number of statements must not grow with the rows."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from duckdb import DuckDBPyConnection

from klaviyo_assets.state.coverage import BEGINNING, CoverageRow
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.warehouse import LocalFile

AT = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Counting:
    """A connection that counts its statements."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection
        self.statements = 0

    def execute(self, *arguments: Any) -> DuckDBPyConnection:
        self.statements += 1
        return self._connection.execute(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def of_parents(count: int, read_at: datetime) -> list[CoverageRow]:
    return [CoverageRow("all", "list_id", BEGINNING, read_at, read_at, "f", final=True, parent=f"P{number}") for number in range(count)]


def test_the_coverage_of_many_parents_is_replaced_in_few_statements(warehouse: LocalFile) -> None:
    with warehouse.transaction() as connection:
        counting = Counting(connection)
        store = CoverageStore(cast(DuckDBPyConnection, counting), warehouse, "klaviyo")
        connection.execute(f"CREATE SCHEMA {warehouse.database}.klaviyo")
        store.prepare()
        other = CoverageRow("all", "datetime", AT, AT + DAY, AT + DAY, "f")
        store.add("events", [other], "A", lambda field: (DAY,))
        store.add("list_members", of_parents(500, AT), "A", lambda field: ())
        counting.statements = 0

        store.add("list_members", of_parents(300, AT + DAY), "A", lambda field: ())

        assert counting.statements <= 4
        expected = [*of_parents(300, AT + DAY), *of_parents(500, AT)[300:]]
        assert sorted(store.rows("list_members"), key=lambda row: row.parent) == sorted(expected, key=lambda row: row.parent)
        assert store.rows("events") == [other]
