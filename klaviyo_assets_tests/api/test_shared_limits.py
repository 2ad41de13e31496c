"""One-a-second limits that several processes keep together, through a file."""

import asyncio
import itertools
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from klaviyo_assets.api.limits import EndpointGate
from klaviyo_assets.catalog.model import TIER_XL, TIER_XS

PROCESS = """
import asyncio, sys, time
from pathlib import Path
from klaviyo_assets.api import limits, pacing
from klaviyo_assets.catalog.model import RateLimit

pacing._SPARE = -0.8  # a fifth of a second after the last answer

async def main():
    gate = limits.EndpointGate("/api/accounts", RateLimit(1, 300), 1.0, Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(4):
        await gate.enter()
        sent = time.time()
        await asyncio.sleep(0.3)
        print(sent, time.time(), flush=True)
        gate.leave({})
    gate.dispose()

asyncio.run(main())
"""


def test_processes_that_share_a_file_share_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "made" / "limits.sqlite"
    command = [sys.executable, "-c", PROCESS, str(file)]
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
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT count(*) FROM rate_bucket").fetchall() == [(8,)]
    connection.close()


def test_a_process_that_was_killed_while_it_had_the_turn_holds_up_nobody(tmp_path: Path) -> None:
    file = tmp_path / "limits.sqlite"
    dying = PROCESS.replace("await asyncio.sleep(0.3)", "__import__('os')._exit(0)")
    subprocess.run([sys.executable, "-c", dying, str(file)], input="go\n", text=True, check=True, stdout=subprocess.PIPE)
    killed_at = time.time()

    async def enter() -> float:
        gate = EndpointGate("/api/accounts", TIER_XS, 1.0, file)
        await asyncio.wait_for(gate.enter(), timeout=30)
        gate.leave({})
        gate.dispose()
        return time.time()

    assert asyncio.run(enter()) - killed_at >= 0.5, "what it has sent may have been counted"


def test_wider_limits_are_not_kept_in_a_file(tmp_path: Path) -> None:
    EndpointGate("/api/events", TIER_XL, 0.9, tmp_path / "limits.sqlite").dispose()

    assert list(tmp_path.iterdir()) == []


def test_a_clock_that_was_set_back_does_not_hang(tmp_path: Path) -> None:
    state = tmp_path / "limits.sqlite"
    EndpointGate("/api/accounts", TIER_XS, 1.0, state).dispose()
    in_an_hour = int(1000 * (datetime.now(UTC) + timedelta(hours=1)).timestamp())
    with sqlite3.connect(state) as connection:
        connection.execute("INSERT INTO rate_bucket VALUES ('/api/accounts', ?)", [in_an_hour])
    connection.close()
    gate = EndpointGate("/api/accounts", TIER_XS, 1.0, state)

    async def enter() -> None:
        await asyncio.wait_for(gate.enter(), timeout=30)

    asyncio.run(enter())
    gate.dispose()
