import json
import subprocess
import sys

import pytest

from klaviyo_assets.marts.dependencies import PARSED, Parser, SqlMistake, statement_fingerprint
from klaviyo_assets.marts.library import FIVETRAN, read_models, statements


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
    with Parser() as parser:
        assert parser.tables(sql, "klaviyo_marts") == expected


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
    with Parser() as parser, pytest.raises(SqlMistake) as caught:
        parser.tables(sql)

    assert caught.value.what.startswith(what)
    assert caught.value.line == line


@pytest.mark.duckdb
def test_statements_parsed_in_advance_are_those_of_the_models() -> None:
    own = {sql for model in read_models([FIVETRAN]).values() for sql in statements(model)}

    with Parser() as parser:
        expected = {statement_fingerprint(sql): [list(one) for one in parser.parse(sql)] for sql in own}
    assert json.loads(PARSED.read_text()) == expected, "run make docs"


@pytest.mark.long
def test_models_of_this_package_are_read_without_duckdb() -> None:
    code = "import sys; from klaviyo_assets.marts.library import read_models; assert read_models(); print('duckdb' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
