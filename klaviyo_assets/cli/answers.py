"""The answers that ``klaviyo-assets demo`` prints after the row counts: what the marts say about the account."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from duckdb import DuckDBPyConnection

from klaviyo_assets.cli.output import table
from klaviyo_assets.marts.library import marts_schema
from klaviyo_assets.warehouse.default_name import DEFAULT_SCHEMA
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import literal

_DAYS = 30
_BAR = 24
"""Characters of the longest bar."""

_BLOCKS = "▁▂▃▄▅▆▇█"

_REVENUE_QUERY = f"""
WITH days AS (FROM account_daily, mart_run SELECT account_daily.* WHERE day BETWEEN today - {_DAYS} AND today - 1)
SELECT channel, currency, revenue
FROM (
    SELECT currency, sum(email_revenue) AS email, sum(sms_revenue) AS sms, sum(push_revenue) AS push,
        sum(revenue) - sum(attributed_revenue) AS "not attributed"
    FROM days GROUP BY currency
) UNPIVOT (revenue FOR channel IN (email, sms, push, "not attributed"))
WHERE revenue > 0
ORDER BY currency, revenue DESC
"""

_CAMPAIGNS = """
SELECT coalesce(campaign_name, message_id), channel, sent_on, delivered, open_rate, click_rate, conversion_value, currency
FROM campaign_performance WHERE delivered > 0 ORDER BY conversion_value DESC NULLS LAST, delivered DESC LIMIT 5
"""

_LISTS = """
SELECT list_name, sum(joined), sum(left_list), list(net ORDER BY week)
FROM (
    SELECT list_name, date_trunc('week', day) AS week, sum(joined) AS joined, sum(left_list) AS left_list, sum(net) AS net
    FROM list_growth_daily, mart_run WHERE day >= today - 84 GROUP BY ALL
)
WHERE list_name <> '' GROUP BY list_name ORDER BY sum(joined) DESC LIMIT 5
"""


def answers(warehouse: Warehouse, now: datetime | None = None) -> Iterator[str]:
    """Yield the answers of the marts, each a title and a table.

    Args:
        warehouse: The database, with marts.
        now: The end of the days that count; None for now.

    Raises:
        WarehouseError: If the file cannot be opened.
    """
    with warehouse.connection() as connection:
        connection.execute(f"SET search_path = {literal(f'{marts_schema(DEFAULT_SCHEMA)},{DEFAULT_SCHEMA}')}")
        _describe_run(connection, now or datetime.now(UTC))
        yield from _revenue(connection)
        yield from _campaigns(connection)
        yield from _lists(connection)


def _describe_run(connection: DuckDBPyConnection, now: datetime) -> None:
    """Make the account's day known to the queries, as the marts know it."""
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW mart_run AS "
        f"SELECT (TIMESTAMPTZ {literal(now.isoformat())} AT TIME ZONE coalesce((SELECT any_value(timezone) FROM {DEFAULT_SCHEMA}.accounts "
        "WHERE _deleted_at IS NULL), 'UTC'))::DATE AS today"
    )


def _revenue(connection: DuckDBPyConnection) -> Iterator[str]:
    rows = connection.execute(_REVENUE_QUERY).fetchall()
    if not rows:
        return
    yield f"Revenue of the last {_DAYS} days, by the channel that Klaviyo credits:"
    totals: dict[str, float] = {}
    for _, currency, revenue in rows:
        totals[currency] = totals.get(currency, 0.0) + revenue
    lines = [
        [channel, f"{revenue:,.2f} {currency}".rstrip(), f"{revenue / totals[currency]:.1%}", bar(revenue / totals[currency])]
        for channel, currency, revenue in rows
    ]
    yield table(["CHANNEL", "REVENUE", "SHARE", ""], lines, numbers=range(1, 3))


def _campaigns(connection: DuckDBPyConnection) -> Iterator[str]:
    rows = connection.execute(_CAMPAIGNS).fetchall()
    if not rows:
        return
    yield "Best campaigns by revenue (without opens by machines):"
    lines = [
        [name, channel, f"{sent_on or ''}", f"{delivered:,}", _rate(opened), _rate(clicked), f"{value or 0:,.2f} {currency or ''}".rstrip()]
        for name, channel, sent_on, delivered, opened, clicked, value, currency in rows
    ]
    yield table(["CAMPAIGN", "CHANNEL", "SENT", "DELIVERED", "OPENED", "CLICKED", "REVENUE"], lines, numbers=range(3, 7))


def _lists(connection: DuckDBPyConnection) -> Iterator[str]:
    rows = connection.execute(_LISTS).fetchall()
    if not rows:
        return
    yield "Growth of lists over the last 12 weeks:"
    lines = [[name, f"{joined:,}", f"{left:,}", f"{joined - left:+,}", sparkline(nets)] for name, joined, left, nets in rows]
    yield table(["LIST", "JOINED", "LEFT", "NET", "NET BY WEEK"], lines, numbers=range(1, 4))


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


@dataclass(frozen=True)
class _Signs:
    """The characters of charts."""

    bar: str
    levels: str


def _signs() -> _Signs:
    """Return block characters, or plain ones if the output's encoding does not have them."""
    try:
        _BLOCKS.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _Signs("#", "_.-~=+*#")
    return _Signs(_BLOCKS[-1], _BLOCKS)


def bar(share: float) -> str:
    """Return a horizontal bar.

    Args:
        share: Its length, 0 to 1.

    Example:
        >>> len(bar(0.5))
        12
    """
    return _signs().bar * max(1 if share > 0 else 0, round(share * _BAR))


def sparkline(values: Sequence[Any]) -> str:
    """Return one character per value, the higher the larger it is.

    Example:
        >>> len(sparkline([1, 5, 2]))
        3
    """
    levels = _signs().levels
    lowest, highest = min(values), max(values)
    if lowest == highest:
        return levels[0] * len(values)
    return "".join(levels[round(float(value - lowest) / float(highest - lowest) * (len(levels) - 1))] for value in values)
