"""Dagster's declarative automation over generated histories: assets downstream are requested if rows have changed, and only then."""

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from klaviyo_assets import EventPartitions, KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.erasure.erase import Erasure
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.accounts import local_file
from klaviyo_assets_tests.dagster_layer.test_partitions import BY_DAY, EVENTS, NIGHT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unpaced")]

HISTORY = 12
"""Days with events at the beginning."""

PARTITIONS = EventPartitions(start=NIGHT.date() - timedelta(days=HISTORY + 3))

CHANGED = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed()).since_last_handled()
EAGER = dg.AutomationCondition.eager().without(dg.AutomationCondition.in_latest_time_window())


@dg.asset(deps=[EVENTS], automation_condition=CHANGED & ~dg.AutomationCondition.in_progress())
def of_all() -> None: ...


@dg.asset(deps=[BY_DAY], partitions_def=PARTITIONS.definition, automation_condition=EAGER)
def of_days() -> None: ...


@dg.asset(deps=[BY_DAY], partitions_def=PARTITIONS.definition, automation_condition=CHANGED)
def of_versions() -> None: ...


DOWNSTREAM = [of_all, of_days, of_versions]

Rows = dict[str, set[Any]]
"""The rows of each day."""


class Shop:
    """An account, its code location, and what Dagster's automation requests."""

    def __init__(self, sandbox: SandboxProcess, folder: Path, instance: dg.DagsterInstance, rng: random.Random) -> None:
        self.sandbox, self.folder, self.instance, self.rng = sandbox, folder, instance, rng
        self.rules: dict[str, str] = {}
        self.cursor: Any = None

    @property
    def definitions(self) -> dg.Definitions:
        rules = {"field_rules": {"events": self.rules}} if self.rules else {}
        klaviyo = KlaviyoResource(api_key=self.sandbox.keys.all_scopes, base_url=self.sandbox.base_url, rate_limit_share=1.0, max_retries=1, **rules)
        defs = build_klaviyo_definitions(klaviyo, duckdb=self.path, resource_types=["events"], executor=dg.in_process_executor, partitions=PARTITIONS)
        return dg.Definitions.merge(defs, dg.Definitions(assets=DOWNSTREAM))

    @property
    def path(self) -> str:
        return str(self.folder / "warehouse.duckdb")

    def run(self, job: str) -> None:
        self.definitions.resolve_job_def(job).execute_in_process(instance=self.instance, raise_on_error=job != "klaviyo_audit")

    def sync(self) -> None:
        self.run("klaviyo_sync_frequent")

    def rows(self) -> Rows:
        """Return all rows, also deleted ones, without the time at which they were read."""
        days: Rows = {}
        with duckdb.connect(self.path, read_only=True) as connection:
            query = "SELECT datetime::DATE::VARCHAR, hash(COLUMNS(* EXCLUDE (_synced_at))) FROM warehouse.klaviyo.events"
            for day, *row in connection.execute(f"SET TimeZone = 'UTC'; {query}").fetchall():
                days.setdefault(day, set()).add(tuple(row))
        return days

    def requested(self) -> dict[str, set[str | None]]:
        """Return the partitions of each asset downstream that are requested now; ``None`` is an asset without partitions.

        Dagster counts as handled what changes between a request and the next evaluation, so that one is done too, and must request nothing.
        """
        found = self._evaluate()
        assert not any(self._evaluate().values())
        return found

    def _evaluate(self) -> dict[str, set[str | None]]:
        selection = dg.AssetSelection.assets(*DOWNSTREAM)
        result = dg.evaluate_automation_conditions(self.definitions, self.instance, asset_selection=selection, cursor=self.cursor)
        self.cursor = result.cursor
        return {one.key.path[-1]: {*result.get_requested_partitions(one.key)} for one in DOWNSTREAM}

    def day(self) -> date:
        return NIGHT.date() - timedelta(days=self.rng.randrange(2, HISTORY))


# What happens before a sync, or before a repair. Some change rows at once, some let the sync do it.


def nothing(_: Shop) -> None: ...


def new_event(shop: Shop) -> None:
    shop.sandbox.change("event", datetime=shop.sandbox.now() - timedelta(minutes=1))


def late_events(shop: Shop) -> None:
    for hours in shop.rng.sample(range(2, 6), 2):
        shop.sandbox.change("event", datetime=shop.sandbox.now() - timedelta(hours=hours))


def erasure(shop: Shop) -> None:
    with duckdb.connect(shop.path, read_only=True) as connection:
        query = "SELECT DISTINCT profile_id FROM warehouse.klaviyo.events WHERE profile_id IS NOT NULL ORDER BY ALL"
        people = [person for (person,) in connection.execute(query).fetchall()]
    Erasure(local_file(shop.folder, "warehouse.duckdb"), "klaviyo").run(DataSubject.named(shop.rng.choice(people)))


def erasure_of_somebody_unknown(shop: Shop) -> None:
    Erasure(local_file(shop.folder, "warehouse.duckdb"), "klaviyo").run(DataSubject.named("01H2NOBODY"))


def field_rule(shop: Shop) -> None:
    with duckdb.connect(shop.path, read_only=True) as connection:
        query = "SELECT DISTINCT unnest(json_keys(event_properties)) FROM warehouse.klaviyo.events ORDER BY ALL"
        names = [name for (name,) in connection.execute(query).fetchall() if name.isalpha()]
    shop.rules = {**shop.rules, f"event_properties.{shop.rng.choice(names)}": "drop"}


def field_rule_without_a_value(shop: Shop) -> None:
    shop.rules = {**shop.rules, "event_properties.No such property": "drop"}


def no_field_rules(shop: Shop) -> None:
    shop.rules = {}


ACTIONS: list[Callable[[Shop], None]] = [
    nothing,
    new_event,
    late_events,
    erasure,
    erasure_of_somebody_unknown,
    field_rule,
    field_rule_without_a_value,
    no_field_rules,
]


def damage(shop: Shop) -> None:
    """Mark the events of a day as deleted, which an audit finds."""
    with duckdb.connect(shop.path) as connection:
        connection.execute(f"UPDATE warehouse.klaviyo.events SET _deleted_at = now() WHERE datetime::DATE = '{shop.day()}'")
    shop.run("klaviyo_audit")


def no_damage(_: Shop) -> None: ...


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.mark.parametrize("seed", range(2))
def test_assets_downstream_are_requested_if_rows_have_changed_and_only_then(
    seed: int, new_account: Callable[..., SandboxProcess], tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    rng = random.Random(seed)
    sandbox = new_account(seed=seed, base=NIGHT, clock=NIGHT + timedelta(minutes=61), events=400, profiles=60, history_days=HISTORY)
    shop = Shop(sandbox, tmp_path, instance, rng)
    shop.requested()
    shop.sync()
    assert shop.requested()["of_all"] == {None}

    for action in rng.sample([*ACTIONS, damage, no_damage], len(ACTIONS) + 2):
        sandbox.advance(timedelta(minutes=rng.randrange(5, 100)))
        repairs = action in (damage, no_damage)
        if repairs:
            action(shop)
        before = shop.rows()
        if repairs:
            shop.run("klaviyo_repair")
        else:
            action(shop)
            shop.sync()
        after = shop.rows()
        days = {day for day in before.keys() | after.keys() if before.get(day) != after.get(day)}
        expected = {"of_all": {None} if days else set(), "of_days": days, "of_versions": days}
        assert shop.requested() == expected, f"after {action}"
