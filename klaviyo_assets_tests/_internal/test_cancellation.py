"""Log messages during waits."""

import asyncio
import logging

import pytest

from klaviyo_assets._internal import cancellation
from klaviyo_assets_tests.api.virtual_time import run_in_virtual_time


@pytest.mark.parametrize(
    ("seconds", "said"), [(4.9, []), (5.1, [0]), (64.0, [0]), (130.0, [0, 60, 120])], ids=["short", "long enough", "almost twice", "three times"]
)
def test_a_wait_is_logged_after_five_seconds_then_once_a_minute(
    seconds: float, said: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    times: list[float] = []

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        caplog.handler.addFilter(lambda _: times.append(loop.time() - began) or True)
        async with cancellation.log_while_waiting("Waiting for %s. What to do: nothing.", "the other"):
            await asyncio.sleep(seconds)
        await asyncio.sleep(200)

    run_in_virtual_time(wait(), monkeypatch)

    assert [record.getMessage() for record in caplog.records] == ["Waiting for the other. What to do: nothing."] * len(said)
    assert [round(time) for time in times] == [cancellation.SECONDS_BEFORE_FIRST_LOG + later for later in said]
    assert {record.levelno for record in caplog.records} <= {logging.WARNING}


def test_nothing_is_logged_after_a_failed_wait(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def wait() -> None:
        with pytest.raises(OSError, match="the disk is full"):
            async with cancellation.log_while_waiting("Waiting."):
                raise OSError("the disk is full")
        await asyncio.sleep(200)

    run_in_virtual_time(wait(), monkeypatch)

    assert caplog.records == []
