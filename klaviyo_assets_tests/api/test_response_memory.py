"""Answers that are under way share their memory: what is too much waits, and nothing waits for itself."""

import asyncio

import pytest

from klaviyo_assets.api.response_memory import ResponseMemory, Share


async def _receive(memory: ResponseMemory, pieces: int, seen: list[int], stored: asyncio.Event | None = None) -> None:
    with memory.share() as share:
        for _ in range(pieces):
            await share.take(10)
            seen.append(memory.taken)
            await asyncio.sleep(0)
        share.complete()
        if stored is not None:
            await stored.wait()
        await asyncio.sleep(0)


@pytest.mark.parametrize("answers", [1, 2, 7, 40])
@pytest.mark.parametrize("pieces", [1, 5, 30])
def test_all_answers_come_to_their_end_within_the_memory_and_one_answer(answers: int, pieces: int) -> None:
    async def run() -> ResponseMemory:
        memory, seen = ResponseMemory(100), list[int]()
        await asyncio.wait_for(asyncio.gather(*(_receive(memory, pieces, seen) for _ in range(answers))), 30)
        assert len(seen) == answers * pieces
        assert max(seen) <= 100 + 10 * pieces
        return memory

    memory = asyncio.run(run())
    assert memory.taken == 0


def test_an_answer_waits_for_one_that_is_not_stored_yet() -> None:
    async def run() -> None:
        memory, stored, seen = ResponseMemory(100), asyncio.Event(), list[int]()
        first = asyncio.create_task(_receive(memory, 10, [], stored))
        for _ in range(30):
            await asyncio.sleep(0)
        second = asyncio.create_task(_receive(memory, 1, seen))
        for _ in range(30):
            await asyncio.sleep(0)
        assert not seen, "the first answer has all the memory until it is stored"
        stored.set()
        await asyncio.gather(first, second)
        assert seen == [10]

    asyncio.run(run())


def test_what_a_failed_attempt_has_taken_is_free_again() -> None:
    async def run() -> None:
        memory = ResponseMemory(100)
        with memory.share() as share:
            await share.take(80)
            share.release()
            assert memory.taken == 0
            await share.take(90)
            share.give_back(40)
            assert memory.taken == 50
        assert memory.taken == 0
        assert isinstance(share, Share)

    asyncio.run(run())
