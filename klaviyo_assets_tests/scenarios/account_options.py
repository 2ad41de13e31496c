"""The account of a scenario at its start."""

from datetime import UTC, datetime
from typing import Any

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets_tests.scenarios.scenario import SWITCHES, Scenario, shared_type

BASE = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
"""When scenarios begin."""

_PARENTS, _PROFILES_OF_PARENTS = 5, 10
"""Parents of a child type at the start, and profiles that may join them."""


def options_of(scenario: Scenario) -> SandboxOptions:
    """Return the sandbox options for a scenario: its records and the records that they depend on, such as parents."""
    counts: dict[str, Any] = {
        "events": 0,
        "profiles": 4,
        "metrics": scenario.metrics,
        "campaigns": 0,
        "flows": 0,
        "lists": 0,
        "segments": 0,
        "reviews": 0,
        "others": 0,
    }
    if (subject := CATALOG[scenario.name].access_shown_by) is not None:
        # Those of others are few: forms have no option of their own.
        counts |= {subject.name if subject.name in counts else "others": 2 + scenario.records}
    parent = CATALOG[scenario.name].parent
    given: dict[str, int] = {}
    if parent is not None:
        shared = shared_type(CATALOG[scenario.name])
        given = {"profiles": _PROFILES_OF_PARENTS, parent.type_name: _PARENTS if scenario.records else 0}
        given |= {shared.name: _PROFILES_OF_PARENTS} if shared is not None else {}
        counts |= {name: given.pop(name) for name in [*given] if name in counts}
    if (host := CATALOG[scenario.name].host) is not None:
        counts[host.entry.name] = scenario.records // 3
    at_least = {"profiles": 1, "metrics": 1} if scenario.name in {"events", "profiles", "metrics"} else {}
    owner = (CATALOG[scenario.name].records_of or CATALOG[scenario.name]).name
    counts[owner if owner in counts else "others"] = max(scenario.records, at_least.get(scenario.name, 0))
    switches: dict[str, Any] = {name: SWITCHES[name] for name in scenario.switches}
    others = ",".join(f"{name}={count}" for name, count in given.items())
    switches |= {"limits": False, "made_up_reports": True}
    return SandboxOptions(seed=scenario.seed, history_days=scenario.history_days, base=BASE, counts=others, **counts, **switches)
