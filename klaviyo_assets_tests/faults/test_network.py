"""Bad responses: the sync retries, tolerates them or fails with a clear error; the table is never wrong."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from unittest.mock import patch

import pytest

from klaviyo_assets.api.clock import ServerClock
from klaviyo_assets.sandbox.faults import FaultKind
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import in_small_pages, small, sync, with_parents
from klaviyo_assets_tests.faults.network import FAULT_CASES, MIN_FAULTS, FaultCase, sync_with_fault, sync_with_mixed_faults
from klaviyo_assets_tests.faults.verdict import judge

pytestmark = pytest.mark.long

_UNDER_WAY = timedelta(days=30)
"""Time until all late events have arrived."""

NewAccount = Callable[..., SandboxProcess]

LASTING = [pytest.param(case, id=case.kind) for case in FAULT_CASES if case.lasting_error]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with small(events=600) as process:
        yield process


def test_every_kind_of_fault_is_covered() -> None:
    assert {case.kind for case in FAULT_CASES} == set(FaultKind)


STRICT = {FaultKind.CUT, FaultKind.EMPTY_PAGE, FaultKind.EXPIRED_CURSOR, FaultKind.OVERLAP, FaultKind.REPEATED_CURSOR}
"""Faults that are also tested with profiles, because their slices overlap by a second on both sides, and with list members: one chain per list."""


@pytest.mark.parametrize(
    ("case", "name"),
    [
        pytest.param(case, name, id=f"{case.kind}-{name}")
        for name in ("events", "profiles", "list_members")
        for case in FAULT_CASES
        if case.recoverable and (name == "events" or case.kind in STRICT)
    ],
)
def test_sync_recovers_from_a_few_faults(case: FaultCase, name: str, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
    result = sync_with_fault(sandbox, warehouse, case, lasting=False, name=name)

    assert result.count > 0
    assert result.error is None, result.message
    assert result.after.is_equal, result.after


@pytest.mark.parametrize("case", LASTING)
def test_lasting_fault_fails_with_a_clear_error(case: FaultCase, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
    result = sync_with_fault(sandbox, warehouse, case, lasting=True)

    assert case.lasting_error is not None
    assert result.error == case.lasting_error.__name__
    assert "What to do:" in result.message
    assert not result.after.faults, result.after
    assert result.later.is_equal, result.later


@pytest.mark.parametrize("kind", [FaultKind.ERROR_503, FaultKind.HTML_403, FaultKind.HTML_404, FaultKind.NO_DATA, FaultKind.NO_LINKS])
def test_lasting_fault_marks_no_child_as_deleted(kind: FaultKind, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
    (case,) = (one for one in FAULT_CASES if one.kind is kind)
    for name in with_parents("list_members"):
        sync(name, sandbox, warehouse)

    result = sync_with_fault(sandbox, warehouse, case, lasting=True, name="list_members")

    assert case.lasting_error is not None
    assert result.error == case.lasting_error.__name__
    assert result.after.is_equal, result.after
    assert result.after.rows > 0


@pytest.mark.parametrize("name", ["campaigns", "events", "flows", "list_members", "lists", "profiles", "reviews", "universal_content"])
def test_sync_recovers_when_one_request_in_twenty_fails(name: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    result = sync_with_mixed_faults(new_account(seed=3), warehouse, name)

    assert result.count >= MIN_FAULTS
    assert result.error is None, result.message
    assert result.after.is_equal, result.after


@pytest.mark.parametrize("hours", [-5, 5])
@pytest.mark.parametrize("name", ["events", "profiles", "reviews"])
def test_clocks_differ_by_hours(hours: int, name: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(base=datetime.now(UTC) + timedelta(hours=hours) - _UNDER_WAY)
    sandbox.advance(_UNDER_WAY)
    for _ in range(3):
        report = sync(name, sandbox, warehouse)
        assert abs(report.row.started_at - sandbox.now()) < timedelta(minutes=1), "the time is Klaviyo's"
        sandbox.change("event" if name == "events" else "add", **({} if name == "events" else {"type": name}))
        sandbox.advance(timedelta(minutes=20))

    sync(name, sandbox, warehouse)

    verdict = judge(sandbox, warehouse, name)
    assert verdict.is_equal, verdict


@pytest.mark.parametrize("kind", ["date_ahead", "date_back", "no_date"])
@pytest.mark.parametrize("machine_off_by", [timedelta(), timedelta(hours=5), timedelta(hours=-5)], ids=["right", "ahead", "behind"])
def test_wrong_date_does_not_cover_the_future(kind: str, machine_off_by: timedelta, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account()
    sandbox.faults({"path": "/api/profiles", "kind": kind})
    machine = partial(ServerClock, machine=lambda: datetime.now(UTC) + machine_off_by)
    with patch("klaviyo_assets.api.client.ServerClock", machine):
        sync(in_small_pages("profiles"), sandbox, warehouse)
        for minutes in (30, 90, 180):
            sandbox.change("add", type="profiles", seed=minutes)
            sandbox.advance(timedelta(minutes=minutes))
        sync(in_small_pages("profiles"), sandbox, warehouse)

    verdict = judge(sandbox, warehouse, "profiles")
    assert verdict.is_equal, verdict
