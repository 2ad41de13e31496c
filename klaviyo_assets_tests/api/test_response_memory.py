"""Responses share a memory limit: those that would exceed it wait, without a deadlock."""

import asyncio

import pytest

from klaviyo_assets.api.response_memory import ResponseMemory, Share


async def _receive(memory: ResponseMemory, pieces: int, seen: list[int], stored: asyncio.Event | None = None) -> None:
    with memory.share() as share:
        for _ in range(pieces):
            await share.reserve(10)
            seen.append(memory.used)
            await asyncio.sleep(0)
        share.complete()
        if stored is not None:
            await stored.wait()
        await asyncio.sleep(0)


@pytest.mark.parametrize("responses", [1, 2, 7, 40])
@pytest.mark.parametrize("pieces", [1, 5, 30])
def test_all_responses_finish_within_the_memory_plus_one_response(responses: int, pieces: int) -> None:
    async def run() -> ResponseMemory:
        memory, seen = ResponseMemory(100), list[int]()
        await asyncio.wait_for(asyncio.gather(*(_receive(memory, pieces, seen) for _ in range(responses))), 30)
        assert len(seen) == responses * pieces
        assert max(seen) <= 100 + 10 * pieces
        return memory

    memory = asyncio.run(run())
    assert memory.used == 0


def test_response_waits_for_one_that_is_not_stored_yet() -> None:
    async def run() -> None:
        memory, stored, seen = ResponseMemory(100), asyncio.Event(), list[int]()
        first = asyncio.create_task(_receive(memory, 10, [], stored))
        for _ in range(30):
            await asyncio.sleep(0)
        second = asyncio.create_task(_receive(memory, 1, seen))
        for _ in range(30):
            await asyncio.sleep(0)
        assert not seen, "the first response uses all the memory until it is stored"
        stored.set()
        await asyncio.gather(first, second)
        assert seen == [10]

    asyncio.run(run())


def test_memory_of_a_failed_attempt_is_released() -> None:
    async def run() -> None:
        memory = ResponseMemory(100)
        with memory.share() as share:
            await share.reserve(80)
            share.release()
            assert memory.used == 0
            await share.reserve(90)
            share.release_part(40)
            assert memory.used == 50
        assert memory.used == 0
        assert isinstance(share, Share)

    asyncio.run(run())
