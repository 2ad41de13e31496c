"""Which part of a table an input reads: columns, rows, and the time window of a partition."""

from dataclasses import dataclass
from datetime import datetime

from klaviyo_assets.warehouse.sql import instant_literal, quoted


@dataclass(frozen=True)
class Selection:
    r"""The part of a table that an input reads.

    Attributes:
        columns: Names of columns; empty for all.
        where: SQL condition; empty for all rows.
        time: Name or SQL expression of the time that ``window`` applies to.
        window: Start, and end (exclusive), of the run's partitions; None for all times.

    Example:
        >>> Selection(("id",), "metric_id = 'RESQ6t'").query('"klaviyo"."events"')
        'SELECT "id" FROM "klaviyo"."events" WHERE (metric_id = \'RESQ6t\')'
    """

    columns: tuple[str, ...] = ()
    where: str = ""
    time: str = ""
    window: tuple[datetime, datetime] | None = None

    def query(self, table: str) -> str:
        """Return SQL that reads this part of a table.

        Args:
            table: Qualified name, quoted.
        """
        conditions = [f"({self.where})"] if self.where else []
        if self.window is not None:
            start, end = (instant_literal(one) for one in self.window)
            conditions += [f"({self.time}) >= {start}", f"({self.time}) < {end}"]
        chosen = ", ".join(quoted(column) for column in self.columns) or "*"
        return f"SELECT {chosen} FROM {table}" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
