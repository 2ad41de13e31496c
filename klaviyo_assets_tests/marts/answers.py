"""The sandbox's account with its marts, what the docs' queries return for it, and what the sandbox itself knows of its shop."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file, small, sync
from klaviyo_assets_tests.marts.questions import QUESTIONS
from klaviyo_assets_tests.marts.small_shop import SCHEMA

TYPES = (
    *("accounts", "metrics", "mapped_metrics", "events", "profiles", "predictive_analytics", "reviews"),
    *("campaigns", "campaign_messages", "tags", "flows", "flow_actions", "flow_messages", "coupons", "coupon_codes"),
    *("lists", "list_members", "segments", "segment_report_daily", "forms", "form_report_daily"),
    *("campaign_report", "flow_report", "flow_report_daily"),
)

RECORDS = ("events", "profiles", "list_members", "reviews", "forms")
"""Types whose records the tests read as the API sends them."""


NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ACCOUNT: dict[str, Any] = {"metrics": 30, "profiles": 250, "campaigns": 60, "base": NOW - timedelta(minutes=61), "clock": NOW}
"""People who get several messages before they order, so that the models of attribution differ."""


class Answers:
    """The sandbox's account in a database with marts, and what the sandbox knows.

    Attributes:
        shop: Figures that the sandbox counted itself.
    """

    def __init__(self, warehouse: LocalFile, shop: dict[str, Any], records: dict[str, list[dict[str, Any]]]) -> None:
        self.warehouse, self.shop, self._records = warehouse, shop, records

    def in_file(self, warehouse: LocalFile) -> "Answers":
        """Return the same account in another database."""
        return Answers(warehouse, self.shop, self._records)

    def rows(self, number: str) -> list[dict[str, Any]]:
        """Return the rows of a query of the docs, without a limit of rows or a least number of messages."""
        sql = QUESTIONS[number].replace("LIMIT 20", "").replace("HAVING sum(delivered) >= 100", "")
        sql = sql.replace("now()", f"TIMESTAMPTZ '{self.shop['now']}'")  # The sandbox's clock does not move.
        with self.warehouse.connection() as connection:
            connection.execute(f"SET search_path = '{self.warehouse.database}.{SCHEMA}_marts,{self.warehouse.database}.{SCHEMA}'")
            found = connection.execute(sql)
            names = [column[0] for column in found.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        assert rows, f"question {number} has no rows: a comparison would say nothing"
        return rows

    def values(self, number: str, column: str) -> set[Any]:
        """Return the values of a column of a query's rows."""
        return {row[column] for row in self.rows(number)}

    def messages(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of campaigns or flows."""
        return [one for one in self.shop["messages"] if one["kind"] == kind]

    def records(self, name: str) -> list[dict[str, Any]]:
        """Return the account's records of a type, as the API sends them."""
        return self._records[name]

    def events(self, role: str) -> list[dict[str, Any]]:
        """Return the events of the metrics with a role that are not in the future."""
        ids, now = {*self.shop["metrics"].get(role, ())}, datetime.fromisoformat(self.shop["now"])
        return [
            one
            for one in self._records["events"]
            if one["relationships"]["metric"].get("data", {}).get("id") in ids and datetime.fromisoformat(one["attributes"]["datetime"]) <= now
        ]

    def day(self, instant: str) -> datetime:
        """Return an instant in the account's time zone."""
        return datetime.fromisoformat(instant).astimezone(ZoneInfo(self.shop["timezone"]))


def build_answers(folder: Path) -> Answers:
    """Sync the sandbox's account into a new file, and build its marts.

    Args:
        folder: Where the file is created.
    """
    warehouse = local_file(folder, "shop.duckdb")
    with small(**ACCOUNT) as sandbox:
        for name in TYPES:
            sync(name, sandbox, warehouse)
        records = {name: [json.loads(line) for line in sandbox.truth_lines(name)] for name in RECORDS}
        shop = sandbox.shop()
    for result in MartRunner(warehouse, SCHEMA, read_models()).run(now=NOW):
        result.raise_if_failed()
        assert [check for check in result.checks if not check.passed] == [], result.model
    return Answers(warehouse, shop, records)


def total(rows: list[dict[str, Any]], column: str, **where: object) -> float:
    """Return the sum of a column, null counting as 0."""
    return round(sum(row[column] or 0 for row in rows if all(row[name] == value for name, value in where.items())), 2)
