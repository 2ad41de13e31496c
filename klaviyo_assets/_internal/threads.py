"""Runs blocking work in threads from an event loop."""

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from klaviyo_assets._internal import cancellation

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Run blocking work in a thread and wait until it ends, even if cancelled: a thread cannot be stopped, and locks must be held until it ends.

    If the work is still waiting when it is cancelled, it stops waiting; see :mod:`klaviyo_assets._internal.cancellation`.
    """
    stop = threading.Event()

    def run() -> T:
        """Run the work with this call's stop event."""
        cancellation.stop_on(stop)
        return work(*arguments, **named)

    task = asyncio.ensure_future(asyncio.to_thread(run))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # mark it as retrieved; the cancellation is raised instead
        raise
