"""Limits of up to three requests per second, which several processes share through a file."""

import asyncio
import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from klaviyo_assets.api.rate_limit.limiter import RateLimiter
from klaviyo_assets.catalog.endpoint import TIER_M, TIER_S, TIER_XL, TIER_XS, RateLimit

PROCESS = """
import asyncio, sys, time
from pathlib import Path
from klaviyo_assets.api.rate_limit import limiter as limits
from klaviyo_assets.api.rate_limit import pacing
from klaviyo_assets.catalog.endpoint import RateLimit

pacing._SPARE = -0.8  # a fifth of a second after the last response

async def main():
    limiter = limits.RateLimiter("/api/accounts", RateLimit(1, 300), 1.0, Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(4):
        await limiter.acquire()
        sent = time.time()
        await asyncio.sleep(0.3)
        print(sent, time.time(), flush=True)
        limiter.release({})
    limiter.dispose()

asyncio.run(main())
"""


@pytest.mark.oldest
@pytest.mark.long
def test_processes_that_share_a_file_share_a_limit(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "limits"
    command = [sys.executable, "-c", PROCESS, str(folder)]
    with ExitStack() as stack:
        processes = [stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)) for _ in range(2)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        times = sorted(tuple(map(float, line.split())) for process in processes for line in process.communicate()[0].splitlines())

    assert [process.returncode for process in processes] == [0, 0]
    assert len(times) == 8
    assert min(sent - answered for (_, answered), (sent, _) in itertools.pairwise(times)) >= 0.2
    (file,) = folder.glob("*.sqlite")
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT count(*) FROM rate_bucket").fetchall() == [(8,)]
    connection.close()


@pytest.mark.long
def test_process_killed_during_its_turn_blocks_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "limits"
    dying = PROCESS.replace("await asyncio.sleep(0.3)", "__import__('os')._exit(0)")
    subprocess.run([sys.executable, "-c", dying, str(folder)], input="go\n", text=True, check=True, stdout=subprocess.PIPE)
    killed_at = time.time()

    async def enter() -> float:
        limiter = RateLimiter("/api/accounts", TIER_XS, 1.0, folder)
        await asyncio.wait_for(limiter.acquire(), timeout=30)
        limiter.release({})
        limiter.dispose()
        return time.time()

    assert asyncio.run(enter()) - killed_at >= 0.5, "the server may have counted its request"


def test_a_few_requests_per_second_have_an_even_pace_across_clients_and_may_overlap(tmp_path: Path) -> None:
    limiters = [RateLimiter("/api/flows", RateLimit(3, 600), 1.0, tmp_path) for _ in range(2)]

    async def enter() -> None:
        for number in range(6):
            await asyncio.wait_for(limiters[number % 2].acquire(), timeout=30)  # none has a response yet

    began = time.time()
    asyncio.run(enter())
    for limiter in limiters:
        limiter.dispose()

    # The minute's 600, made up for stalls by two percent.
    assert time.time() - began >= 5 * 60 / 600 / 1.02


def test_a_reservation_far_ahead_shows_a_clock_that_was_set_back_and_is_ignored(tmp_path: Path) -> None:
    RateLimiter("/api/flows", TIER_S, 1.0, tmp_path).dispose()
    (state,) = tmp_path.glob("*.sqlite")
    noted = state.with_name(f"{state.name}.answered")
    noted.touch()
    os.utime(noted, (time.time() + 3600, time.time() + 3600))
    limiter = RateLimiter("/api/flows", TIER_S, 1.0, tmp_path)

    async def enter() -> None:
        await asyncio.wait_for(limiter.acquire(), timeout=30)

    asyncio.run(enter())
    limiter.dispose()


@pytest.mark.long
@pytest.mark.parametrize("limit", [RateLimit(3, 600), RateLimit(1, 600)], ids=["three per second", "one per second"])
def test_a_client_with_many_requests_leaves_turns_to_others(limit: RateLimit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.rate_limit.pacing._SPARE", -0.8)  # a fifth of a second after the last response
    busy, other = (RateLimiter("/api/flows", limit, 1.0, tmp_path) for _ in range(2))
    sent: list[RateLimiter] = []

    async def work(limiter: RateLimiter, requests: int) -> None:
        for _ in range(requests):
            request = await limiter.acquire()
            sent.append(limiter)
            limiter.release({}, request)

    async def both() -> None:
        many = [asyncio.create_task(work(busy, 100)) for _ in range(3)]
        await asyncio.wait_for(work(other, 8), timeout=60)
        for task in many:
            task.cancel()
        await asyncio.gather(*many, return_exceptions=True)

    asyncio.run(both())
    for limiter in (busy, other):
        limiter.dispose()

    assert sent.count(other) == 8
    assert 3 <= sent.count(busy) <= 3 * 8, "they take turns, more or less"


@pytest.mark.parametrize("tier", [TIER_XL, TIER_M])
def test_faster_limits_are_not_shared_through_a_file(tier: RateLimit, tmp_path: Path) -> None:
    RateLimiter("/api/events", tier, 0.9, tmp_path).dispose()

    assert list(tmp_path.iterdir()) == []


def test_clock_that_was_set_back_causes_no_hang(tmp_path: Path) -> None:
    RateLimiter("/api/accounts", TIER_XS, 1.0, tmp_path).dispose()
    (state,) = tmp_path.glob("*.sqlite")
    in_an_hour = int(1000 * (datetime.now(UTC) + timedelta(hours=1)).timestamp())
    with sqlite3.connect(state) as connection:
        connection.execute("INSERT INTO rate_bucket VALUES ('/api/accounts', ?)", [in_an_hour])
    connection.close()
    limiter = RateLimiter("/api/accounts", TIER_XS, 1.0, tmp_path)

    async def enter() -> None:
        await asyncio.wait_for(limiter.acquire(), timeout=30)

    asyncio.run(enter())
    limiter.dispose()


def test_endpoints_do_not_wait_for_each_other(tmp_path: Path) -> None:
    limiters = [RateLimiter(name, TIER_XS, 1.0, tmp_path) for name in ("/api/accounts", "/api/accounts/id", "/api/webhooks", "/api/web-hooks")]

    async def enter() -> None:
        await asyncio.wait_for(asyncio.gather(*(limiter.acquire() for limiter in limiters)), timeout=30)

    asyncio.run(enter())  # all turns are held at once, so each endpoint has its own
    for limiter in limiters:
        limiter.release({})
        limiter.dispose()

    assert len(list(tmp_path.glob("*.sqlite"))) == 4


@pytest.mark.parametrize("content", [b"\0" * 4096, b"not a database", b"SQLite format 3\0 and no more of it"], ids=["nul", "text", "cut"])
def test_damaged_file_is_recreated(content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    RateLimiter("/api/accounts", TIER_XS, 1.0, tmp_path).dispose()
    (state,) = tmp_path.glob("*.sqlite")
    state.write_bytes(content)
    limiter = RateLimiter("/api/accounts", TIER_XS, 1.0, tmp_path)

    async def enter() -> None:
        limiter.release({}, await asyncio.wait_for(limiter.acquire(), timeout=30))

    asyncio.run(enter())
    limiter.dispose()
    assert caplog.messages == []


def test_limit_is_kept_within_the_process_if_the_folder_cannot_be_created(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    limiter = RateLimiter("/api/accounts", TIER_XS, 1.0, tmp_path / "file" / "limits")

    async def enter() -> None:
        limiter.release({}, await asyncio.wait_for(limiter.acquire(), timeout=30))

    asyncio.run(enter())
    limiter.dispose()
    assert "does not consider other processes" in caplog.text


# The thread of pyrate-limiter that removes old entries may meet the deleted file, too; requests go on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_deleted_folder_is_recreated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.rate_limit.pacing._SPARE", -0.9)
    folder = tmp_path / "limits"
    limiter = RateLimiter("/api/accounts", TIER_XS, 1.0, folder)

    async def enter() -> None:
        limiter.release({}, await asyncio.wait_for(limiter.acquire(), timeout=30))
        shutil.rmtree(folder)
        limiter.release({}, await asyncio.wait_for(limiter.acquire(), timeout=30))

    asyncio.run(enter())
    limiter.dispose()
    assert list(folder.glob("*.answered"))


def drop_the_table(folder: Path) -> None:
    (state,) = folder.glob("*.sqlite")
    with closing(sqlite3.connect(state)) as connection:
        connection.execute("DROP TABLE rate_bucket")


def replace_the_lock(folder: Path) -> None:
    (state,) = folder.glob("*.sqlite")
    state.with_name(f"{state.name}.lock").unlink(missing_ok=True)
    state.with_name(f"{state.name}.lock").mkdir()


def replace_the_turn(folder: Path) -> None:
    (state,) = folder.glob("*.sqlite")
    state.with_name(f"{state.name}.turn").unlink(missing_ok=True)
    state.with_name(f"{state.name}.turn").mkdir()


def replace_the_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # as above
@pytest.mark.parametrize("limit", [RateLimit(3, 600), RateLimit(1, 600)], ids=["three per second", "one per second"])
@pytest.mark.parametrize("damage", [drop_the_table, replace_the_lock, replace_the_turn, replace_the_folder])
def test_requests_are_still_sent_if_the_files_cannot_be_used_any_longer(
    damage: Callable[[Path], None], limit: RateLimit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("klaviyo_assets.api.rate_limit.pacing._SPARE", -0.95)
    folder = tmp_path / "limits"
    limiter = RateLimiter("/api/accounts", limit, 1.0, folder)

    async def enter() -> None:
        limiter.release({}, await asyncio.wait_for(limiter.acquire(), timeout=30))
        damage(folder)
        for _ in range(2):
            limiter.release({}, await asyncio.wait_for(limiter.acquire(), timeout=30))

    asyncio.run(enter())
    limiter.dispose()
    expected = f"does not consider other processes on this machine, since the folder {folder} cannot be used: "
    assert sum(expected in message for message in caplog.messages) == 1


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # as above
@pytest.mark.parametrize(("limit", "interval"), [(RateLimit(3, 600), 60 / 600 / 1.02), (RateLimit(1, 600), 0.2)], ids=["three per second", "one"])
@pytest.mark.parametrize("damage", [drop_the_table, replace_the_lock, replace_the_turn, replace_the_folder])
def test_the_pace_is_kept_within_the_process_if_the_files_cannot_be_used_any_longer(
    damage: Callable[[Path], None], limit: RateLimit, interval: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.api.rate_limit.pacing._SPARE", -0.8)
    folder = tmp_path / "limits"
    limiter = RateLimiter("/api/accounts", limit, 1.0, folder)
    sent: list[float] = []

    async def enter() -> None:
        limiter.release({}, await asyncio.wait_for(limiter.acquire(), timeout=30))
        damage(folder)
        for _ in range(4):
            request = await asyncio.wait_for(limiter.acquire(), timeout=30)
            sent.append(time.time())
            limiter.release({}, request)

    asyncio.run(enter())
    limiter.dispose()
    assert sent[-1] - sent[0] >= 3 * interval - 0.01


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # as above
def test_the_minute_is_counted_within_the_process_if_the_file_cannot_be_used_any_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.rate_limit.pacing._SPARE", -0.99)
    limiter = RateLimiter("/api/accounts", RateLimit(1, 3), 1.0, tmp_path / "limits")
    sent = 0

    async def enter() -> None:
        nonlocal sent
        limiter.release({}, await limiter.acquire())
        drop_the_table(tmp_path / "limits")
        while True:
            request = await limiter.acquire()
            sent += 1
            limiter.release({}, request)

    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(enter(), timeout=3))
    limiter.dispose()
    assert sent == 3


def test_a_process_that_keeps_its_turn_is_waited_for_only_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("klaviyo_assets.api.rate_limit.shared_limit._MAX_TURN_WAIT", 0.1)
    limiter = RateLimiter("/api/accounts", TIER_XS, 1.0, tmp_path)
    (turn,) = tmp_path.glob("*.turn")

    async def enter() -> None:
        limiter.release({}, await asyncio.wait_for(limiter.acquire(), timeout=30))

    with FileLock(turn):  # of a process that has been suspended
        asyncio.run(enter())
    limiter.dispose()

    (message,) = caplog.messages
    assert message == "/api/accounts: another process on this machine has kept its turn for 0 s; this one no longer waits for it"


def test_a_request_that_is_cancelled_during_its_turn_leaves_it_to_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.rate_limit.pacing._SPARE", 1000.0)
    waiting_long = RateLimiter("/api/accounts", TIER_XS, 1.0, tmp_path)
    monkeypatch.setattr("klaviyo_assets.api.rate_limit.pacing._SPARE", -0.95)
    other = RateLimiter("/api/accounts", RateLimit(1, 600), 1.0, tmp_path)
    (turn,) = tmp_path.glob("*.turn")

    async def enter() -> None:
        waiting_long.release({}, await asyncio.wait_for(waiting_long.acquire(), timeout=30))
        cancelled = asyncio.create_task(waiting_long.acquire())
        while not is_held(turn):  # noqa: ASYNC110  # no event signals that a lock is held
            await asyncio.sleep(0.01)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        assert not is_held(turn)
        other.release({}, await asyncio.wait_for(other.acquire(), timeout=30))

    asyncio.run(enter())
    for limiter in (waiting_long, other):
        limiter.dispose()


def is_held(lock: Path) -> bool:
    try:
        with FileLock(lock).acquire(blocking=False):
            return False
    except Timeout:
        return True
