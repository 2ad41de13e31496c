"""Schedules: default times, times of the user, none; invalid ones are refused at load. What runs around a sync."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets import KlaviyoResource, KlaviyoSchedules, build_klaviyo_assets, build_klaviyo_automation, build_klaviyo_definitions
from klaviyo_assets.ops.asset_sync import Result
from klaviyo_assets.ops.sync_op import SyncStep
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.validation import InvalidDefinition


def schedules(**options: Any) -> dict[str, dg.ScheduleDefinition]:
    types = {"resource_types": ["events", "profiles"], "marts": True, "publish": "copy.duckdb"}
    defs = build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("A_KEY")), duckdb="a.duckdb", name="eu", **(types | options))
    dg.Definitions.validate_loadable(defs)
    return {schedule.name.removeprefix("eu_").removesuffix("_schedule"): schedule for schedule in defs.schedules or []}  # type: ignore[misc]


OCCASIONS = {
    "sync": "sync",
    "checks": "checks",
    "frequent": "sync_frequent",
    "full": "full_profiles",
    "audit": "audit",
    "marts": "build_marts",
    "publish": "publish",
}


def test_each_field_sets_the_time_of_its_schedule() -> None:
    times = {occasion: f"{minute} 6 * * *" for minute, occasion in enumerate(OCCASIONS)}

    found = schedules(schedules=KlaviyoSchedules(**times, timezone="Europe/Berlin", running=True))

    assert {name: schedule.cron_schedule for name, schedule in found.items()} == {name: times[occasion] for occasion, name in OCCASIONS.items()}
    assert {schedule.execution_timezone for schedule in found.values()} == {"Europe/Berlin"}
    assert {schedule.default_status for schedule in found.values()} == {dg.DefaultScheduleStatus.RUNNING}
    assert found["sync"].description == "Events and profiles."


def test_the_default_schedules_are_stopped_and_say_when_they_run() -> None:
    found = schedules()

    assert set(found) == set(OCCASIONS.values())
    assert {schedule.execution_timezone for schedule in found.values()} == {"UTC"}
    assert {schedule.default_status for schedule in found.values()} == {dg.DefaultScheduleStatus.STOPPED}
    assert found["full_profiles"].description == "Every week: all profiles again."


@pytest.mark.parametrize("none", [None, False])
def test_there_may_be_no_schedules(none: bool | None) -> None:
    assert schedules(schedules=none) == {}
    assert build_klaviyo_automation(build_klaviyo_assets(resource_types=["events"]), schedules=none).schedules == []


def test_one_schedule_may_be_left_out() -> None:
    assert set(schedules(schedules=KlaviyoSchedules(full=None))) == set(OCCASIONS.values()) - {"full_profiles"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sync": "61 * * * *"}, r"The schedule sync has an invalid cron expression: '61 \* \* \* \*'\. Write minute, .*such as '0 5 \* \* \*'"),
        ({"audit": 7}, "The schedule audit has an invalid cron expression: 7"),
        ({"timezone": "Mars/Olympus"}, "time zone of the schedules is unknown: 'Mars/Olympus'"),
        ({"timezone": ""}, "time zone of the schedules is unknown: ''"),
    ],
)
def test_invalid_times_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidDefinition, match=words):
        KlaviyoSchedules(**fields)


def test_other_objects_are_refused_as_schedules() -> None:
    with pytest.raises(InvalidDefinition, match=r"schedules= takes KlaviyoSchedules.*, not str"):
        schedules(schedules="0 5 * * *")


def test_code_runs_around_each_sync(account: SandboxProcess, tmp_path: Path) -> None:
    seen: list[object] = []

    def execute(context: dg.AssetExecutionContext, sync: SyncStep) -> Iterator[Result]:
        seen.append(context.op_def.name)
        for result in sync.run():
            seen.append(type(result))
            yield result
        seen.append(sync.klaviyo.base_url)

    klaviyo = KlaviyoResource(api_key=ALL_SCOPES_KEY, base_url=account.base_url)
    defs = build_klaviyo_definitions(klaviyo, duckdb=tmp_path / "shop.duckdb", resource_types=["lists"], execute=execute)
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process()

    assert result.success
    assert seen[0] == "klaviyo_small_types"
    assert seen.count(dg.MaterializeResult) == 1
    assert dg.AssetCheckResult in seen
    assert seen[-1] == account.base_url
