import duckdb
import pytest

from klaviyo_assets.marts.dependencies import SqlMistake, tables_read


@pytest.mark.duckdb
@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("FROM Events", {"events"}),
        ("SELECT (SELECT max(a) FROM x) FROM y WHERE b IN (FROM z) AND EXISTS (FROM w)", {"w", "x", "y", "z"}),
        ("WITH a AS (FROM x), b AS (FROM a JOIN y USING (id)) SELECT * FROM b", {"x", "y"}),
        # A common table expression that has the name of the table that it reads.
        ("WITH profiles AS (FROM profiles) FROM profiles", {"profiles"}),
        # One that only a part of the statement sees.
        ("SELECT * FROM (WITH a AS (FROM x) FROM a) UNION ALL SELECT * FROM a", {"a", "x"}),
        ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r JOIN x ON n < 3) FROM r", {"x"}),
        ("SELECT * FROM a ASOF JOIN b ON a.t >= b.t LEFT JOIN LATERAL (SELECT unnest(a.z) FROM c) ON true", {"a", "b", "c"}),
        ("SELECT * FROM klaviyo.events JOIN klaviyo_marts.fct_orders ON true, range(3)", {"fct_orders"}),
        ("SELECT [x * 2 FOR x IN [1, 2]] FROM a UNION ALL BY NAME FROM b", {"a", "b"}),
        ("-- a comment with FROM nothing\nSELECT 'FROM text' FROM a", {"a"}),
    ],
)
def test_tables_are_found(sql: str, expected: set[str]) -> None:
    with duckdb.connect() as connection:
        assert tables_read(connection, sql, "klaviyo_marts") == expected


@pytest.mark.duckdb
@pytest.mark.parametrize(
    ("sql", "what", "line"),
    [
        ("SELECT a,\n  b FRM x", "DuckDB cannot parse it: syntax error", 2),
        ("SELECT 1; SELECT 2", "A model is one SELECT statement; this file has 2.", None),
        ("", "A model is one SELECT statement; this file has 0.", None),
        ("DELETE FROM events", "A model is one SELECT statement, and", None),
        ("PIVOT a ON b USING count(*)", "A model is one SELECT statement, and PIVOT is not one.", None),
    ],
)
def test_other_statements_are_refused(sql: str, what: str, line: int | None) -> None:
    with duckdb.connect() as connection, pytest.raises(SqlMistake) as caught:
        tables_read(connection, sql)

    assert caught.value.what.startswith(what)
    assert caught.value.line == line
