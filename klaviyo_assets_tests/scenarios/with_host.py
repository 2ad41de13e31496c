"""Syncs a type together with its host, as one step of a run does: the type takes its records from the responses of the host's sync."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.feed import Feed


async def sync_with_host(entry: ResourceType, run: Callable[..., Awaitable[Any]]) -> None:
    """Sync both.

    Args:
        entry: The type.
        run: Syncs one type; takes the type, and ``feeds`` or ``feed`` as the library's runner does.

    Raises:
        BaseException: What the sync of one of them raised.
    """
    assert entry.host is not None
    feed = Feed(entry)

    async def run_host(host: ResourceType) -> None:
        try:
            await run(host, feeds=[feed])
        finally:
            feed.abandon()

    async def run_type() -> None:
        try:
            await run(entry, feed=feed)
        finally:
            feed.leave()

    found = await asyncio.gather(run_host(entry.host.entry), run_type(), return_exceptions=True)
    # The death of the process is no Exception, and comes before the errors that follow from it.
    errors = sorted((one for one in found if one is not None), key=lambda one: isinstance(one, Exception))
    if errors:
        raise errors[0]
