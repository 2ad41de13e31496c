"""Bad responses: retried, tolerated or refused with a clear error; the table is never wrong."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from unittest.mock import patch

import pytest

from klaviyo_assets.api.clock import ServerClock
from klaviyo_assets.sandbox.faults import FaultKind
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import in_small_pages, small, sync
from klaviyo_assets_tests.faults.network import STRIKES, TROUBLES, Trouble, meet, meet_all
from klaviyo_assets_tests.faults.verdict import judge

pytestmark = pytest.mark.long

_UNDER_WAY = timedelta(days=30)
"""Time until all late events have arrived."""

NewAccount = Callable[..., SandboxProcess]

REFUSED = [pytest.param(trouble, id=trouble.kind) for trouble in TROUBLES if trouble.refused_with]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with small(events=600) as process:
        yield process


def test_every_kind_of_fault_is_covered() -> None:
    assert {trouble.kind for trouble in TROUBLES} == set(FaultKind)


STRICT = {FaultKind.CUT, FaultKind.EMPTY_PAGE, FaultKind.EXPIRED_CURSOR, FaultKind.OVERLAP, FaultKind.REPEATED_CURSOR}
"""Faults that are also tested with profiles, because their slices overlap by a second on both sides."""


@pytest.mark.parametrize(
    ("trouble", "name"),
    [
        pytest.param(trouble, name, id=f"{trouble.kind}-{name}")
        for name in ("events", "profiles")
        for trouble in TROUBLES
        if trouble.survived and (name == "events" or trouble.kind in STRICT)
    ],
)
def test_sync_recovers_from_a_few_faults(trouble: Trouble, name: str, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
    met = meet(sandbox, warehouse, trouble, lasting=False, name=name)

    assert met.struck > 0
    assert met.error is None, met.words
    assert met.after.is_equal, met.after


@pytest.mark.parametrize("trouble", REFUSED)
def test_lasting_fault_fails_with_a_clear_error(trouble: Trouble, sandbox: SandboxProcess, warehouse: LocalFile) -> None:
    met = meet(sandbox, warehouse, trouble, lasting=True)

    assert trouble.refused_with is not None
    assert met.error == trouble.refused_with.__name__
    assert "What to do:" in met.words
    assert not met.after.faults, met.after
    assert met.later.is_equal, met.later


@pytest.mark.parametrize("name", ["campaigns", "events", "flows", "lists", "profiles", "reviews"])
def test_sync_recovers_when_one_request_in_twenty_fails(name: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    met = meet_all(new_account(seed=3), warehouse, name)

    assert met.struck >= STRIKES
    assert met.error is None, met.words
    assert met.after.is_equal, met.after


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
