from pathlib import Path

import pytest

from klaviyo_assets.marts.front_matter import parse_header
from klaviyo_assets.marts.mart_errors import InvalidModel
from klaviyo_assets.marts.model import Scope

PATH = Path("folder/orders.sql")

HEADER = """\
-- description: One row per day,
--   and currency.
-- key: day, Currency
-- column day: The day.
-- column currency: ISO code.
-- incremental: day
-- metadata total: sum(value)
-- check positive: SELECT * FROM orders
--   WHERE value < 0
-- warn small: SELECT 1

-- descripton: a free comment
SELECT 1
"""


def test_a_header_is_parsed() -> None:
    header = parse_header(PATH, HEADER)

    assert header.description == "One row per day, and currency."
    assert header.key == ("day", "currency")
    assert header.columns == {"day": "The day.", "currency": "ISO code."}
    assert header.scope is Scope.DAY
    assert [(one.name, one.sql, one.line) for one in header.metadata] == [("total", "sum(value)", 7)]
    assert [(one.name, one.sql, one.line, one.warns) for one in header.checks] == [
        ("positive", "SELECT * FROM orders WHERE value < 0", 8, False),
        ("small", "SELECT 1", 10, True),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-- description: x\n-- kye: id\nSELECT 1", "folder/orders.sql, line 2: This line is no field of the header: '-- kye: id'."),
        ("-- description: x\nSELECT 1", "folder/orders.sql, line 1: The header has no field key."),
        ("-- description: x\n-- key: ,\n", "folder/orders.sql, line 2: The key names no column."),
        ("-- description: x\n-- key: id\n-- column: no name\n", "folder/orders.sql, line 3: This line is no field of the header"),
        ("-- description: x\n-- key: id\n-- key: id\n", "folder/orders.sql, line 3: The header has key twice."),
        ("-- description: x\n-- key: id\n-- check a: SELECT 1\n-- warn A: SELECT 1\n", "folder/orders.sql, line 4: The header has warn A twice."),
        ("-- description: x\n-- key: id\n-- column a:\n", "folder/orders.sql, line 3: The field column a is empty."),
        ("-- description: x\n-- key: id\n-- incremental: week\n", "folder/orders.sql, line 3: A model cannot be incremental by 'week'."),
    ],
)
def test_a_mistake_is_named_with_file_and_line(text: str, expected: str) -> None:
    with pytest.raises(InvalidModel) as caught:
        parse_header(PATH, text)

    assert caught.value.summary.startswith(expected)
    assert caught.value.advice
