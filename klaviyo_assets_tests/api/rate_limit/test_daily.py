"""The daily limit of reports: counted across processes and restarts; a used-up day is an error at once."""

import asyncio
import contextlib
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from klaviyo_assets.api.rate_limit import daily
from klaviyo_assets.api.rate_limit.daily import DailyLimitReached, DailyWindow, is_daily_limit
from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.catalog.endpoint import TIER_REPORTS, RateLimit
from klaviyo_assets.sandbox.errors import ApiError
from klaviyo_assets.sandbox.limits import Limits
from klaviyo_assets_tests.api.virtual_time import run_in_virtual_time

PATH = "/api/form-series-reports"
NOON = 1_774_008_000.0


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the clock, in hours."""

    def set_to(hours: float) -> None:
        monkeypatch.setattr(daily, "time", SimpleNamespace(time=lambda: NOON + 3600 * hours))

    set_to(0)
    return set_to


def test_a_day_has_our_share_of_the_limit(at: Callable[[float], None], tmp_path: Path) -> None:
    window = DailyWindow(PATH, 225, 0.9, tmp_path / "limits" / "day.sqlite")
    for number in range(202):
        at(number / 202)
        window.check()
        window.count()

    at(13)
    with pytest.raises(DailyLimitReached) as caught:
        window.check()
    assert "The 202 requests that may be sent to this endpoint in 24 hours are used up. One more may be sent in 11 hours." in str(caught.value)
    assert "Nothing: what was read is kept, and the next sync continues, if it runs" in str(caught.value)
    assert is_daily_limit(caught.value)
    with pytest.raises(DailyLimitReached):
        window.count()

    at(24.001)
    window.check()
    window.close()


@pytest.mark.parametrize("shared", [True, False], ids=["file", "memory"])
def test_requests_are_counted_across_restarts_only_in_a_file(shared: bool, at: Callable[[float], None], tmp_path: Path) -> None:
    state = tmp_path / "day.sqlite" if shared else None
    for _ in range(2):
        window = DailyWindow(PATH, 4, 1.0, state)
        window.count()
        window.count()
        window.close()

    again = DailyWindow(PATH, 4, 1.0, state)
    if shared:
        with pytest.raises(DailyLimitReached):
            again.check()
    else:
        again.check()
    again.close()


def test_clock_that_was_set_back_blocks_nothing(at: Callable[[float], None], tmp_path: Path) -> None:
    at(1000)
    DailyWindow(PATH, 1, 1.0, tmp_path / "day.sqlite").count()
    at(0)

    DailyWindow(PATH, 1, 1.0, tmp_path / "day.sqlite").check()


@pytest.mark.parametrize("content", [b"\0" * 4096, b"not a database"], ids=["nul", "text"])
def test_damaged_file_is_recreated(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "day.sqlite").write_bytes(content)

    DailyWindow(PATH, 1, 1.0, tmp_path / "day.sqlite").count()
    with pytest.raises(DailyLimitReached):
        DailyWindow(PATH, 1, 1.0, tmp_path / "day.sqlite").count()


def test_a_file_that_cannot_be_opened_now_keeps_its_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "day.sqlite"
    window = DailyWindow(PATH, 1, 1.0, path)
    window.count()
    window.close()
    (tmp_path / "day.sqlite-wal").mkdir()  # SQLite cannot go on, as with a lock of another program or a full disk
    before = path.read_bytes()

    DailyWindow(PATH, 1, 1.0, path).count()

    assert "cannot be counted across processes" in caplog.text
    assert path.read_bytes() == before


def drop_the_table(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE rate_bucket")


def replace_the_lock(path: Path) -> None:
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    path.with_name(f"{path.name}.lock").mkdir()


def replace_the_folder(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("")


@pytest.mark.parametrize("damage", [drop_the_table, replace_the_lock, replace_the_folder])
def test_requests_are_still_sent_if_the_file_cannot_be_used_any_longer(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def enter() -> None:
        limiter = RateLimiter(PATH, RateLimit(75, 750, daily=2), 1.0, tmp_path / "limits")
        limiter.release({}, await limiter.acquire())
        (path,) = (tmp_path / "limits").glob("*.day.sqlite")
        damage(path)
        for _ in range(2):  # those that this process has sent before are forgotten
            limiter.release({}, await asyncio.wait_for(limiter.acquire(), timeout=30))
        with pytest.raises(DailyLimitReached):
            await asyncio.wait_for(limiter.acquire(), timeout=30)
        limiter.dispose()

    asyncio.run(enter())

    expected = f"{PATH}: the requests of the last 24 hours cannot be counted across processes, since the file cannot be used: "
    assert sum(expected in message for message in caplog.messages) == 1


def test_the_limiter_counts_what_it_sends_and_stops_at_once(at: Callable[[float], None], tmp_path: Path) -> None:
    async def enter() -> None:
        limiter = RateLimiter(PATH, RateLimit(75, 750, daily=2), 1.0, tmp_path)
        for _ in range(2):
            limiter.release({}, await limiter.acquire())
        began = time.monotonic()
        with pytest.raises(DailyLimitReached):
            await limiter.acquire()
        assert limiter.seconds_waited < 60
        assert time.monotonic() - began < 60
        limiter.dispose()

    asyncio.run(enter())
    assert len(list(tmp_path.glob("*.day.sqlite"))) == 1


def test_reports_stay_within_all_three_windows_of_klaviyo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two virtual days at full speed against the sandbox's fixed windows."""

    async def send() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(daily, "time", SimpleNamespace(time=lambda: NOON + loop.time()))
        monkeypatch.setattr(asyncio, "to_thread", _inline)
        limits, limiter = Limits(lambda: NOON + loop.time()), RateLimiter(PATH, TIER_REPORTS, 0.9)
        end, sent, rejected = loop.time() + 2 * daily.DAY_SECONDS, 0, 0
        while loop.time() < end:
            try:
                request = await limiter.acquire()
            except DailyLimitReached as error:
                await asyncio.sleep(error.retry_after or 0)
                continue
            await asyncio.sleep(0.3)
            try:
                limiter.release(limits.enter(PATH, TIER_REPORTS), request)
                sent += 1
            except ApiError:
                limiter.release({}, request, 60.0)
                rejected += 1
        limiter.dispose()
        return sent, rejected

    sent, rejected = run_in_virtual_time(send(), monkeypatch)

    assert rejected == 0
    assert 400 <= sent <= 2 * 202 + 2  # the second day is over when the last request is sent


async def _inline(work: Callable[[], object]) -> object:
    return work()


PROCESS = """
import asyncio, sys
from pathlib import Path
from klaviyo_assets.api.rate_limit.daily import DailyLimitReached
from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.api.rate_limit import pacing
from klaviyo_assets.catalog.endpoint import RateLimit

pacing._SPARE = -0.95

async def main():
    limiter = RateLimiter("/api/form-series-reports", RateLimit(1, 300, daily=9), 1.0, Path(sys.argv[1]))
    sent = 0
    try:
        while True:
            request = await limiter.acquire()
            sent += 1
            limiter.release({}, request)
    except DailyLimitReached:
        print(sent)

asyncio.run(main())
"""


@pytest.mark.long
def test_processes_share_the_day(tmp_path: Path) -> None:
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path / "limits")], stdout=subprocess.PIPE, text=True))
            for _ in range(3)
        ]
        sent = [int(process.communicate()[0]) for process in processes]

    assert sum(sent) == 9
