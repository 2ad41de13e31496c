"""Row groups are merged only where 2,048 of their rows fit into DuckDB's memory."""

from pathlib import Path

import duckdb
import pytest

from klaviyo_assets.warehouse import wide_tables

pytestmark = pytest.mark.duckdb


@pytest.mark.parametrize(
    ("rows", "length", "kind", "merged"),
    [(5_000, 1_000, "JSON", True), (40, 20_000, "JSON", False), (40, 20_000, "VARCHAR", False), (2, 20_000, "JSON", True), (0, 0, "JSON", True)],
)
def test_row_groups_are_merged_unless_their_texts_are_too_wide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, length: int, kind: str, merged: bool
) -> None:
    monkeypatch.setattr(wide_tables, "MAX_WIDE_BYTES", 400_000)
    with duckdb.connect(str(tmp_path / "file.duckdb")) as connection:
        connection.execute(f"CREATE TABLE t (id BIGINT, p {kind}, tags VARCHAR[])")
        connection.execute(f"INSERT INTO t SELECT i, to_json(repeat('x', {length})), ['a'] FROM range({rows}) AS r(i)")
        connection.execute("CHECKPOINT")
        assert wide_tables.may_be_merged(connection, measure=True) is merged


def test_one_wide_text_among_many_rows_does_not_prevent_a_merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide_tables, "MAX_WIDE_BYTES", 400_000)
    with duckdb.connect(str(tmp_path / "file.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT i, repeat('x', CASE i WHEN 7 THEN 100000 ELSE 10 END) AS p FROM range(3000) AS r(i)")
        connection.execute("CHECKPOINT")
        assert wide_tables.may_be_merged(connection, measure=True)
        assert not wide_tables.may_be_merged(connection, measure=False), "not known without reading the texts"


def test_only_as_many_row_groups_are_read_as_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them would fill DuckDB's memory at every commit of a load."""
    monkeypatch.setattr(wide_tables, "MAX_WIDE_BYTES", 400_000)
    with duckdb.connect(str(tmp_path / "file.duckdb")) as connection:
        connection.execute("SET max_vacuum_tasks = 0; CREATE TABLE t (id BIGINT, tags VARCHAR[], p VARCHAR)")
        for _ in range(6):
            connection.execute("INSERT INTO t SELECT i, ['a', 'b'], repeat('x', 20000) FROM range(10) AS r(i)")
            connection.execute("CHECKPOINT")
        # Texts that are read at all are an error from the fourth row group on.
        connection.execute("ALTER TABLE t RENAME TO stored")
        connection.execute("CREATE VIEW t AS SELECT id, CASE WHEN rowid >= 30 THEN error('read') ELSE p END AS p, rowid FROM stored")
        columns, groups = wide_tables._estimated(connection, "stored")
        assert (columns, [group.rows for group in groups]) == (["p"], [10] * 6)
        with monkeypatch.context() as patch:
            patch.setattr(wide_tables, "_estimated", lambda connection, table: (columns, groups))
            assert not wide_tables._may_be_merged(connection, "t", measure=True)
