"""Columns of timestamps and of dates: parsed at once if all have the usual form; what is neither is kept as it is."""

import json
from datetime import date

import pytest

from klaviyo_assets.catalog.columns import ColumnType, attribute
from klaviyo_assets.decode.timestamps import dates, instants, timestamp_or_none

COLUMN = attribute("at", ColumnType.TIMESTAMP, "x")
WHOLE_SECONDS = ["2026-01-02T03:04:05+00:00", None, "1969-12-31T23:59:59+00:00"]
ODD = [
    "2026-02-30T00:00:00+00:00",
    "2026-01-02T24:00:00+00:00",
    "2026-01-02T03:04:60+00:00",
    "0000-01-01T00:00:00+00:00",
    "2026-01-02 03:04:05+00:00",
    "2026-1-002T03:04:05+00:00",
    "+026-01-02T03:04:05+00:00",
    "2026-01-02T03:04:05+02:00",
    "2026-01-02T03:04:05.678901+00:00",
]


@pytest.mark.parametrize("odd", [[], *([one] for one in ODD), ODD], ids=lambda odd: ",".join(odd) or "none")
def test_a_column_has_what_each_text_means(odd: list[str]) -> None:
    texts = [*WHOLE_SECONDS, *odd]
    extras: list[bytes | None] = [None] * len(texts)

    found = instants(COLUMN, texts, extras)

    expected = [timestamp_or_none(text) if text is not None else None for text in texts]
    assert found.name == "at"
    assert found.to_list() == expected
    assert [extra is not None for extra in extras] == [text is not None and value is None for text, value in zip(texts, expected, strict=True)]


def test_a_column_without_rows_or_without_values() -> None:
    assert instants(COLUMN, [], []).to_list() == []
    assert instants(COLUMN, [None, None], [None, None]).to_list() == [None, None]


DAY = attribute("window.day", ColumnType.DATE, "x")


@pytest.mark.parametrize("odd", ["2026-02-30", "2026-1-02", "02/01/2026", "2026-01-02T03:04:05+00:00", " 2026-01-02", "", "yesterday", "+2026-01-02"])
def test_a_text_that_is_no_date_is_kept_as_it_is(odd: str) -> None:
    extras = [None, b'{"new":1,"window":{"other":[1, 2]}}', None, None]

    found = dates(DAY, ["2026-01-31", odd, None, odd], extras)

    assert found.to_list() == [date(2026, 1, 31), None, None, None]
    assert (extras[0], extras[2]) == (None, None)
    assert json.loads(extras[1] or b"") == {"new": 1, "window": {"other": [1, 2], "day": odd}}
    assert json.loads(extras[3] or b"") == {"window": {"day": odd}}
