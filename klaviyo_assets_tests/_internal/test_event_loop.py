"""Asynchronous iterables, consumed concurrently by synchronous code."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from klaviyo_assets._internal.event_loop import merge_streams


async def numbers(*values: int) -> AsyncIterator[int]:
    for value in values:
        await asyncio.sleep(0)
        yield value


def test_all_items_arrive_and_each_source_keeps_its_order() -> None:
    found = list(merge_streams([numbers(1, 2, 3), numbers(), numbers(10, 20)]))

    assert sorted(found) == [1, 2, 3, 10, 20]
    assert [one for one in found if one < 10] == [1, 2, 3]


def test_waiting_source_does_not_block_others() -> None:
    go = asyncio.Event()

    async def waiting() -> AsyncIterator[str]:
        await go.wait()
        yield "late"

    async def opening() -> AsyncIterator[str]:
        yield "early"
        go.set()

    assert list(merge_streams([waiting(), opening()])) == ["early", "late"]


def test_an_exception_of_a_source_is_raised_and_cancels_the_others() -> None:
    cancelled = []

    async def patient() -> AsyncIterator[int]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        yield 1

    async def failing() -> AsyncIterator[int]:
        yield 1
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(merge_streams([patient(), failing()]))
    assert cancelled == [True]


def test_works_inside_an_event_loop() -> None:
    async def notebook() -> list[int]:
        return list(merge_streams([numbers(1, 2), numbers(3)]))

    assert sorted(asyncio.run(notebook())) == [1, 2, 3]


def test_generator_closed_inside_an_event_loop_leaves_nothing_open() -> None:
    found = merge_streams([numbers(1, 2, 3)])
    assert next(found) == 1

    async def closing() -> None:
        found.close()  # type: ignore[attr-defined]

    asyncio.run(closing())
    gc.collect()  # reports loops and tasks that are still open
