"""Compares a table with Klaviyo's records."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from polars.testing import assert_frame_equal

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.child_parts import EVERYTHING, ChildPart
from klaviyo_assets.state.coverage_store import WINDOW_START
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, table, truth


@dataclass(frozen=True)
class Verdict:
    """The result of a comparison.

    Attributes:
        rows: Number of rows in the table.
        records: Number of records in Klaviyo.
        faults: Descriptions of the differences; empty if there are none.
    """

    rows: int
    records: int
    faults: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        """True if the table equals the truth."""
        return not self.faults and self.rows == self.records

    def __str__(self) -> str:
        if self.faults:
            return f"WRONG: {'; '.join(self.faults)}"
        return f"equal to the truth, {self.rows} rows" if self.is_equal else f"{self.rows} of {self.records} records, all equal to Klaviyo's"


def judge(sandbox: SandboxProcess, warehouse: LocalFile, name: str) -> Verdict:
    """Compare a table with the truth. Only records outside the coverage, such as those of unread parents, may be missing; nothing else may differ."""
    known = truth(sandbox, name)
    with warehouse.connection() as connection:
        tables = connection.execute(f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{name}'").fetchall()
    if not tables:
        return Verdict(0, known.height)
    held = table(warehouse, name)
    volatile = [pl.col(column.name).is_not_null() for column in CATALOG[name].columns if column.volatile]  # their values differ at each read
    faults = (
        *_wrong_rows(held.with_columns(volatile), known.with_columns(volatile), CATALOG[name].primary_key),
        *_wrong_coverage(sandbox, warehouse, name, held, known),
    )
    return Verdict(held.height, known.height, faults)


def _wrong_rows(held: pl.DataFrame, known: pl.DataFrame, key: Sequence[str]) -> list[str]:
    if not held.select(key).is_unique().all():
        return ["a key occurs in two rows"]
    try:
        assert_frame_equal(held, known.join(held.select(key), on=key, how="semi", maintain_order="left"), check_column_order=False)
    except AssertionError as error:
        return [f"rows differ from Klaviyo's records ({str(error).splitlines()[0]})"]
    return []


def _wrong_coverage(sandbox: SandboxProcess, warehouse: LocalFile, name: str, held: pl.DataFrame, known: pl.DataFrame) -> list[str]:
    columns = f"subset, field, epoch_us({WINDOW_START}), epoch_us(window_end), epoch_us(read_at), parent"
    of_parent, key = CATALOG[name].parent, CATALOG[name].primary_key
    now = sandbox.now().timestamp() * 1e6
    wrong = []
    for subset, field, start, end, read_at, parent in query(warehouse, f"SELECT {columns} FROM _coverage WHERE resource_type = '{name}'"):
        if field not in known.columns:
            continue  # a timestamp inside a JSON column
        if max(end, read_at) > now:
            wrong.append(f"coverage of {field} extends into the future")
        if CATALOG[name].replication.groups is not None and subset != CATALOG[name].subsets[0].name:
            promised = _of_part(known, name, subset, parent)
            missing = promised.join(held, on=key, how="anti").height
            if missing:
                wrong.append(f"{missing} records are missing from a covered part ({subset}) of the parent {parent}")
            continue
        begin = start if start is not None else -(2**63)  # a window without a lower bound starts at -infinity
        promised = known if of_parent is None else known.filter(pl.col(of_parent.column) == parent)
        if of_parent is None or field != of_parent.column:
            promised = promised.filter(pl.col(field).dt.epoch("us").is_between(begin, end, closed="left"))
        missing = promised.join(held, on=key, how="anti").height
        if missing:
            wrong.append(f"{missing} records are missing from a covered window of {field}{f' of the parent {parent}' if parent else ''}")
    return wrong


def _of_part(known: pl.DataFrame, name: str, subset: str, parent: str) -> pl.DataFrame:
    """Return the records of a part of a parent's children."""
    groups, of_parent, part = CATALOG[name].replication.groups, CATALOG[name].parent, ChildPart.parse(subset)
    assert groups is not None
    assert of_parent is not None
    assert part is not None
    own = known.filter(pl.col(of_parent.column) == parent)
    own = own if part.state is None else own.filter(pl.col(groups.state) == part.state)
    return own.filter(pl.col(groups.cut_by).is_between(part.window.start, part.window.end, closed="left")) if part.window != EVERYTHING else own
