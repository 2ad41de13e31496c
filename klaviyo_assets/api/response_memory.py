"""Limits the total bytes of concurrent responses, rather than their number.

A page of events may have one megabyte or a hundred. Requests are sent as fast as the rate limit allows. If their responses would exceed the limit,
the oldest ones are received first and the others wait: data that is not read from the socket stays at the server.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

MAX_BYTES_IN_FLIGHT = 64 * 2**20
"""Maximum decompressed bytes of all responses that are being received or are not stored yet."""


class ResponseMemory:
    """The memory of one client's responses.

    One response can always be received completely, whatever its size, so there is no deadlock.

    Args:
        limit: Maximum bytes of all responses together; one additional response may exceed it.

    Example:
        >>> memory = ResponseMemory(64 * 2**20)
        >>> with memory.share() as share:
        ...     await share.reserve(65_536)
    """

    def __init__(self, limit: int = MAX_BYTES_IN_FLIGHT) -> None:
        self.limit = limit
        self.used = 0
        self._receiving: dict[Share, None] = {}
        self._held = 0
        self._change = asyncio.Event()

    @contextmanager
    def share(self) -> "Iterator[Share]":
        """Count the memory of one response until it is stored or dropped."""
        share = Share(self)
        try:
            yield share
        finally:
            share.release()

    def has_room(self, share: "Share", size: int) -> bool:
        """Return whether a response may use more memory now: there is enough, or no other response will release any."""
        return self.used + size <= self.limit or (not self._held and next(iter(self._receiving)) is share)

    def register(self, share: "Share") -> None:
        """Record the first bytes of a response."""
        self._receiving.setdefault(share, None)

    def complete(self, share: "Share") -> None:
        """Record that a response is complete; its owner can release it without waiting for other responses."""
        self._receiving.pop(share, None)
        self._held += 1
        self._notify()

    def release(self, share: "Share", size: int) -> None:
        """Record that memory is free again."""
        self.used -= size
        self._notify()

    def drop(self, share: "Share", *, held: bool) -> None:
        """Forget a response."""
        self._receiving.pop(share, None)
        self._held -= held
        self._notify()

    async def changed(self) -> None:
        """Wait until a response releases memory or is complete."""
        await self._change.wait()

    def _notify(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


class Share:
    """The memory of one response.

    Args:
        memory: The memory of the client's responses.

    Attributes:
        seconds_waited: Seconds that the response has waited for memory.
        is_waiting: True while it waits.
    """

    def __init__(self, memory: ResponseMemory) -> None:
        self._memory = memory
        self._size = 0
        self._held = False
        self.seconds_waited = 0.0
        self.is_waiting = False

    async def reserve(self, size: int) -> None:
        """Reserve memory for a part of the response; wait while other responses use it."""
        self._memory.register(self)
        if not self._memory.has_room(self, size):
            began, self.is_waiting = time.monotonic(), True
            try:
                while not self._memory.has_room(self, size):
                    await self._memory.changed()
            finally:
                self.is_waiting = False
            self.seconds_waited += time.monotonic() - began
        self._size += size
        self._memory.used += size

    def release_part(self, size: int) -> None:
        """Release a part, such as the compressed bytes of a response that is decompressed."""
        self._size -= size
        self._memory.release(self, size)

    def complete(self) -> None:
        """Record that the response is complete."""
        self._memory.complete(self)
        self._held = True

    def release(self) -> None:
        """Release all of it. The share can be reused for a retry of the request."""
        held, self._held = self._held, False
        size, self._size = self._size, 0
        self.seconds_waited = 0.0
        self._memory.used -= size
        self._memory.drop(self, held=held)
