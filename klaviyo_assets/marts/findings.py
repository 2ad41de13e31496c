"""What a built model says of itself: its numbers, and the rows that its checks find."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets._internal.sanitize import one_line
from klaviyo_assets.marts.library import as_select
from klaviyo_assets.marts.model import UNIQUE_KEY, Check, Model
from klaviyo_assets.marts.results import CheckResult
from klaviyo_assets.marts.sources import Sources
from klaviyo_assets.warehouse.error_text import error_text
from klaviyo_assets.warehouse.sql import count_rows, quoted

_EXAMPLES = 5

_DIGITS = 12
"""Digits of a computed number: the last of its 16 depend on the order in which DuckDB's threads add."""


@dataclass(frozen=True)
class Findings:
    """The findings of one model that has just been built, outside of a transaction: a query that fails spoils nothing.

    Args:
        sources: The sources of the connection.
        model: The model.
    """

    sources: Sources
    model: Model

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return count_rows(self._connection, f"FROM {self._table}")

    @cached_property
    def columns(self) -> dict[str, str]:
        """Types by column."""
        return {name: type_ for name, type_, *_ in self._connection.execute(f"DESCRIBE {self._table}").fetchall()}

    def numbers(self) -> tuple[dict[str, float], list[CheckResult]]:
        """Return the numbers of the header by name, without nulls; a query that fails is reported like a check that cannot run."""
        self._create_views()
        found: dict[str, float] = {}
        failed = []
        for query in self.model.header.metadata:
            try:
                row = self._connection.execute(as_select(query.sql, self.model.name)).fetchone()
                if row is not None and row[0] is not None:
                    found[query.name] = _number(row[0])
            except (duckdb.Error, ValueError, TypeError) as error:
                # Python's error would show the value, which may identify a person.
                problem = one_line(error_text(error)) if isinstance(error, duckdb.Error) else "The value is not a number."
                failed.append(CheckResult(query.name, None, warns=True, error=f"metadata, line {query.line}: {problem}"))
        return found, failed

    def checks(self) -> list[CheckResult]:
        """Return the results of the checks, that of the key first."""
        self._create_views()
        return [self._unique_key(), *(self._result(check) for check in self.model.header.checks)]

    def _unique_key(self) -> CheckResult:
        key = ", ".join(quoted(name) for name in self.model.header.key)
        doubled = f"SELECT {key}, count(*) AS rows FROM {self._table} GROUP BY {key} HAVING count(*) > 1"
        line = next((number for number, text in enumerate(self.model.sql.splitlines(), 1) if text.startswith("-- key:")), 1)
        return self._result(Check(UNIQUE_KEY, doubled, line))

    def _result(self, check: Check) -> CheckResult:
        try:
            rows = count_rows(self._connection, f"FROM ({check.sql})")
            return CheckResult(check.name, rows, check.warns, tuple(self._examples(check.sql)) if rows else ())
        except duckdb.Error as error:
            return CheckResult(check.name, None, check.warns, error=f"line {check.line}: {one_line(error_text(error))}")

    def _examples(self, sql: str) -> list[dict[str, str]]:
        found = self._connection.execute(f"FROM ({sql}) LIMIT {_EXAMPLES}")
        names = [column[0] for column in found.description or ()]
        # Other columns of a user's model may identify a person; the checks of this package's models select none that do.
        shown = names if self.model.is_packaged else [name for name in names if name.lower() in self.model.header.key]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        return [{name: one_line(str(row[name])) for name in shown} for row in rows]

    def _create_views(self) -> None:
        self.sources.create_views(sorted(self.model.mentioned | {self.model.name}))

    @property
    def _table(self) -> str:
        return self.sources.table(self.model.name)

    @property
    def _connection(self) -> DuckDBPyConnection:
        return self.sources.connection


def _number(value: Any) -> float:
    if isinstance(value, int):
        return int(value)
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else float(value)
