"""The checkouts that flows recovered in the sandbox's shop, against what follows from the sandbox's own list of orders."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets_tests.accounts import local_file, small, sync
from klaviyo_assets_tests.marts.conftest import select
from klaviyo_assets_tests.marts.small_shop import SCHEMA

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
WINDOW = timedelta(days=7)


def instant(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["attributes"]["datetime"])


def recovered_orders(shop: dict[str, Any], events: list[dict[str, Any]]) -> set[str]:
    """Return the orders that a flow has the credit for, by a touch after one of the checkouts that led to the order."""
    touched = {one["id"]: instant(one) for one in events}
    started: dict[str, list[datetime]] = {}
    for one in events:
        profile = one["relationships"]["profile"].get("data")
        if profile and one["relationships"]["metric"].get("data", {}).get("id") in shop["metrics"]["checkout_started"]:
            started.setdefault(profile["id"], []).append(instant(one))
    found, previous = set(), dict[str, datetime]()
    for order_id, order in sorted(shop["orders"].items(), key=lambda item: datetime.fromisoformat(item[1]["at"])):
        profile, at, touch = order["profile_id"], datetime.fromisoformat(order["at"]), touched.get(order["attributed_event_id"])
        after = previous.get(profile, datetime.min.replace(tzinfo=UTC))
        if order["flow_id"] and touch and any(after < one and at - WINDOW <= one <= touch <= at for one in started.get(profile, ())):
            found.add(order_id)
        previous[profile] = at
    return found


@pytest.mark.long
def test_recovered_checkouts(tmp_path: Path) -> None:
    warehouse = local_file(tmp_path, "shop.duckdb")
    with small(seed=7, metrics=30, events=10_000, profiles=500, base=NOW - timedelta(minutes=61), clock=NOW) as sandbox:
        for name in ("accounts", "metrics", "mapped_metrics", "events"):
            sync(name, sandbox, warehouse)
        shop, events = sandbox.shop(), [json.loads(line) for line in sandbox.truth_lines("events")]
    for result in MartRunner(warehouse, SCHEMA, read_models()).run(["checkout_recovery"], now=NOW):
        result.raise_if_failed()

    expected = recovered_orders(shop, events)
    assert {order for (order,) in select(warehouse, "SELECT order_event_id FROM checkout_recovery WHERE outcome = 'recovered'")} == expected
    assert len(expected) > 1
