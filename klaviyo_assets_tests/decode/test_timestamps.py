"""Columns of timestamps: parsed at once if all have the usual form, else as the parser of single texts does."""

import pytest

from klaviyo_assets.catalog.columns import ColumnType, attribute
from klaviyo_assets.decode.timestamps import instants, timestamp_or_none

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
