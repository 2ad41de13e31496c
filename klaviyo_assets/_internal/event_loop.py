"""Runs asynchronous work from synchronous code, such as Dagster's ops."""

import asyncio
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Item(Generic[T]):
    """An item of a source."""

    value: T


@dataclass(frozen=True)
class _End:
    """The end of a source, with the exception that ended it, if any."""

    error: Exception | None = None


def merge_streams(sources: Sequence[AsyncIterable[T]]) -> Iterator[T]:
    """Consume asynchronous iterables concurrently in one event loop, and yield their items as they arrive.

    The loop runs only while waiting for the next item. If an event loop is already running (in a notebook), all items are yielded at the end.

    Args:
        sources: The iterables.

    Raises:
        BaseException: The first exception of a source; the others are cancelled.
    """
    if _in_an_event_loop():
        yield from _in_another_thread(lambda: list(_merged(sources)))
    else:
        yield from _merged(sources)


def _merged(sources: Sequence[AsyncIterable[T]]) -> Iterator[T]:
    arrivals: asyncio.Queue[_Item[T] | _End] = asyncio.Queue()

    async def consume(source: AsyncIterable[T]) -> None:
        """Queue the items of one source, then its end."""
        try:
            async for value in source:
                arrivals.put_nowait(_Item(value))
        except Exception as error:
            arrivals.put_nowait(_End(error))
        else:
            arrivals.put_nowait(_End())

    async def begin() -> list[asyncio.Task[None]]:
        """Start a task for each source."""
        return [asyncio.create_task(consume(source)) for source in sources]

    runner = asyncio.Runner()
    try:
        tasks = runner.run(begin())  # keep a reference: the event loop has only weak ones
        running = len(tasks)
        while running:
            arrival = runner.run(arrivals.get())
            if isinstance(arrival, _Item):
                yield arrival.value
            elif arrival.error is not None:
                raise arrival.error
            else:
                running -= 1
    finally:
        # The consumer may close this generator while its own event loop runs in this thread.
        if _in_an_event_loop():
            _in_another_thread(runner.close)
        else:
            runner.close()


def _in_another_thread(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(copy_context().run, work).result()


def _in_an_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a task group; the others usually have the same cause."""
    inner = errors.exceptions[0]
    return first_error(inner) if isinstance(inner, BaseExceptionGroup) else inner
