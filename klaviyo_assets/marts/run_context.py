"""What is the same for all models of one run: the instant, and the account's time zone and currency."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.warehouse.ddl import existing_columns
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import instant_literal, literal


@dataclass(frozen=True)
class RunContext:
    """The values of the view ``mart_run``.

    Attributes:
        now: The instant up to which events count.
        timezone: IANA time zone of the account; UTC if it is not known.
        currency: The account's currency, upper case; None if it is not known.
    """

    now: datetime
    timezone: str = "UTC"
    currency: str | None = None

    @property
    def as_select(self) -> str:
        """The statement of the view."""
        currency = literal(self.currency) if self.currency else "NULL"
        today = self.now.astimezone(ZoneInfo(self.timezone)).date()
        return (
            f"SELECT {instant_literal(self.now)} AS now, {literal(self.timezone)} AS timezone, DATE {literal(today.isoformat())} AS today, "
            f"{currency}::VARCHAR AS currency"
        )

    def day_of(self, column: str) -> str:
        """Return SQL for the day of an instant, in the account's time zone."""
        return f"({column} AT TIME ZONE {literal(self.timezone)})::DATE"


def read_run_context(connection: DuckDBPyConnection, warehouse: Warehouse, schema: str, now: datetime) -> RunContext:
    """Return the context of a run, with what the table of the account says.

    A time zone that this machine does not know counts as UTC.

    Args:
        connection: The database.
        warehouse: The same.
        schema: Schema of the raw tables.
        now: The instant.
    """
    accounts = CATALOG.account_type.name
    if not {"timezone", "preferred_currency", "_deleted_at"} <= existing_columns(connection, schema, accounts).keys():
        return RunContext(now)
    rows = connection.execute(
        f"SELECT timezone, upper(preferred_currency) FROM {warehouse.qualified(schema, accounts)} WHERE _deleted_at IS NULL ORDER BY id LIMIT 1"
    ).fetchall()
    zone, currency = rows[0] if rows else (None, None)
    return RunContext(now, zone if zone and _is_known(zone) else "UTC", currency)


def _is_known(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return False
    return True
