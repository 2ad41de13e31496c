"""A window of a report that was read as a whole: the condition for its rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from klaviyo_assets.warehouse.sql import literal, quoted


@dataclass(frozen=True)
class ReportWindow:
    """A window of a report that was read as a whole.

    Attributes:
        column: Column with the day of a row, or with the first day of its window.
        first: The first day.
        last: The last day.
        values: Values of columns that the request fixed, such as the conversion metric.
        ids_column: Column with the ids that the request named.
        ids: These ids; empty if the request named none.
    """

    column: str
    first: date
    last: date
    values: Mapping[str, str] = field(default_factory=dict)
    ids_column: str = ""
    ids: tuple[str, ...] = ()

    @property
    def condition(self) -> str:
        """SQL condition for the rows that the request may return."""
        conditions = [f"{quoted(self.column)} BETWEEN DATE {literal(self.first.isoformat())} AND DATE {literal(self.last.isoformat())}"]
        conditions += [f"{quoted(name)} = {literal(value)}" for name, value in self.values.items()]
        if self.ids:
            conditions.append(f"{quoted(self.ids_column)} IN ({', '.join(map(literal, self.ids))})")
        return " AND ".join(conditions)
