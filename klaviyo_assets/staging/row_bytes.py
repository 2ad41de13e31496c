"""Measures the bytes of rows, and splits pages to keep frames and files small."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import polars as pl

from klaviyo_assets.decode import Page
from klaviyo_assets.warehouse.wide_tables import WIDE

__all__ = ["WIDE", "portions", "row_bytes"]

_NARROW = 64
"""Bytes of a row without its text."""


def row_bytes(frame: pl.DataFrame) -> pl.Series:
    """Return the bytes of each row of a frame: those of its text, plus a constant for everything else."""
    lengths = [_length(pl.col(name), dtype).fill_null(0) for name, dtype in frame.schema.items() if dtype in (pl.String, pl.List(pl.String))]
    return frame.select(bytes=pl.sum_horizontal(pl.int_range(pl.len()) * 0 + _NARROW, *lengths)).to_series()


def _length(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    return column.str.len_bytes() if dtype == pl.String else column.list.eval(pl.element().str.len_bytes()).list.sum()


def portions(pages: Sequence[Page], max_rows: int, max_bytes: int) -> Iterator[list[Page]]:
    """Group pages into portions, each for one file, in their order.

    Args:
        pages: The pages.
        max_rows: Maximum rows of a portion, unless a single page has more.
        max_bytes: Maximum bytes of a portion, unless a single record has more.
    """
    portion: list[Page] = []
    rows = size = 0
    for page in (part for whole in pages for part in _divided(whole, max_bytes)):
        if portion and (rows + page.count > max_rows or size + page.size > max_bytes):
            yield portion
            portion, rows, size = [], 0, 0
        portion.append(page)
        rows, size = rows + page.count, size + page.size
    if portion:
        yield portion


def _divided(page: Page, max_bytes: int) -> Iterator[Page]:
    """Split a page that has too many bytes by the size of its records, which is only measured in this case."""
    if page.size <= max_bytes or page.count < 2:
        yield page
        return
    first = size = 0
    for number, record in enumerate(page.records):
        length = len(msgspec.json.encode(record))
        if number > first and size + length > max_bytes:
            yield replace(page, records=page.records[first:number], size=size)
            first, size = number, 0
        size += length
    yield replace(page, records=page.records[first:], size=size)
