"""Columns with values inside a JSON column: every shape of path, any name of a member, texts that occur often."""

import json
from typing import Any

import pytest

from klaviyo_assets.catalog.columns import ColumnType, within
from klaviyo_assets.decode.within import JsonColumnReader

COLUMNS = (
    within("json.$value", "value", ColumnType.FLOAT, "x"),
    within("json.Campaign Name", "campaign", ColumnType.STRING, "x"),
    within("json.deep.0.er.list.*.id", "ids", ColumnType.STRINGS, "x"),
    within("json.deep.0.er.at", "at", ColumnType.TIMESTAMP, "x"),
    within("json.plain.*", "plain", ColumnType.STRINGS, "x"),
)
READER = JsonColumnReader(COLUMNS)


def rows(texts: list[Any]) -> list[dict[str, Any]]:
    series = READER.series(texts)
    return [{name: some[number] for name, some in series.items()} for number in range(len(texts))]


def values(**found: Any) -> dict[str, Any]:
    """Return one row: null except for these values; lists as plain lists."""
    return dict.fromkeys(READER.names) | found


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else list(value) if name in ("ids", "plain") and value is not None else value
        for name, value in row.items()
    }


CASES = [
    (None, values()),
    ("null", values()),
    (b"{}", values()),
    ('{"$value": 12, "Campaign Name": "Spring", "other": {"$value": []}}', values(value=12.0, campaign="Spring")),
    ('{"$value": "12", "Campaign Name": "Spring"}', values(campaign="Spring")),
    ('{"plain": ["a", null, "b"], "deep": []}', values(plain=["a", "b"])),
    ('{"plain": [], "deep": [null, {"er": {"at": "2026-01-02T03:04:05+00:00"}}]}', values()),
    (
        '{"deep": [{"er": {"list": [{"id": "a"}, {}, null, {"id": "b"}], "at": "2026-01-02T03:04:05+00:00"}}]}',
        values(ids=["a", None, "b"], at="2026-01-02T03:04:05+00:00"),
    ),
    ('{"deep": [{"er": {"list": [], "at": "soon"}}], "$value": 1.5}', values(value=1.5)),
    ('{"deep": 7, "$value": 1.5}', values(value=1.5)),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_each_value_has_its_column(text: Any, expected: dict[str, Any]) -> None:
    assert [plain(row) for row in rows([text])] == [expected]


def test_a_page_of_all_shapes_keeps_their_order() -> None:
    assert [plain(row) for row in rows([text for text, _ in CASES])] == [expected for _, expected in CASES]


def test_equal_texts_are_decoded_once_with_the_same_result() -> None:
    texts = [CASES[number % len(CASES)][0] for number in range(700)] + [json.dumps({"$value": number}) for number in range(50)]

    found = [plain(row) for row in rows(texts)]

    assert found[:700] == [CASES[number % len(CASES)][1] for number in range(700)]
    assert [row["value"] for row in found[700:]] == [float(number) for number in range(50)]


def test_no_texts_are_no_rows() -> None:
    assert {name: len(some) for name, some in READER.series([]).items()} == dict.fromkeys(READER.names, 0)
