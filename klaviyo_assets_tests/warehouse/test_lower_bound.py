"""What the lower bound of DuckDB in setup.cfg is for."""

from pathlib import Path

import duckdb
import pytest

pytestmark = [pytest.mark.duckdb, pytest.mark.oldest]


@pytest.mark.parametrize("aggregate", ["max(ended)", "min(ended)", "count(*)"])
def test_a_filter_may_exclude_the_rows_of_the_own_transaction(aggregate: str, tmp_path: Path) -> None:
    """DuckDB 1.5.0 to 1.5.4 raise an internal error here, in the query for the end of the last sync."""
    file = tmp_path / "own.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute("CREATE TABLE syncs (resource_type VARCHAR, ended TIMESTAMPTZ)")
    with duckdb.connect(file) as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO syncs VALUES ('events', now())")
        found = connection.sql(f"SELECT {aggregate} FROM syncs WHERE resource_type = 'campaigns'").fetchall()
    assert found in ([(None,)], [(0,)])
