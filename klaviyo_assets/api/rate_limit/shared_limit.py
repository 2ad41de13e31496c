"""What processes on this machine share about the limit of one endpoint: the count of the last minute, whose turn it is, and the latest request."""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from pyrate_limiter import InMemoryBucket, Limiter, Rate, SQLiteBucket

from klaviyo_assets._internal import private_files

_log = logging.getLogger("klaviyo_assets")

NOT_SHARED = "The pace of requests does not consider other processes on this machine, since the folder %s cannot be used"

_MINUTE_MS = 60_000

_MAX_TURN_WAIT = 180.0
"""Seconds to wait for the process that holds the turn. No response takes longer, so that process has probably been suspended."""

SECONDS_BETWEEN_TRIES = 0.05
"""Seconds between two attempts to get the turn."""


class SharedLimit:
    """What processes share about the limit of one endpoint.

    It is kept in three files: the count of the last minute is in the SQLite file ``state``, a lock on ``<state>.turn`` is the turn, and the
    modification time of ``<state>.answered`` is the time of the latest request: when it was sent or answered, or will be sent. If a file can no
    longer be used, a warning says so, and what this process knows is used instead.

    Args:
        rates: The rates to count.
        state: The SQLite file.

    Attributes:
        limiter: Counts the requests of all processes.

    Raises:
        OSError: If the folder or a file cannot be created.
        sqlite3.Error: If the SQLite file is damaged.
    """

    def __init__(self, rates: Sequence[Rate], state: Path) -> None:
        private_files.make_folder(state.parent)
        turn, self._latest = state.with_name(f"{state.name}.turn"), state.with_name(f"{state.name}.answered")
        for path in (state, state.with_name(f"{state.name}.lock"), turn):
            private_files.make_file(path)
        bucket = SQLiteBucket.init_from_file(list(rates), db_path=str(state), use_file_lock=True)
        newest = bucket.peek(0)
        if newest is not None and newest.timestamp > 1000 * time.time() + _MINUTE_MS:
            bucket.flush()  # from before the clock was set back; waiting for it would look like a hang
        self.limiter = Limiter(bucket, buffer_ms=5)
        self._own_limiter = Limiter(InMemoryBucket(list(rates)), buffer_ms=0)
        self._own_latest = 0.0
        self._folder = state.parent
        self._turn = FileLock(turn, mode=private_files.FILE_MODE)
        self._has_warned = False

    async def count(self, name: str) -> None:
        """Wait until the count of the last minute allows one more request. The limiter's lock blocks, so it is acquired in a thread."""
        try:
            require_granted(await asyncio.to_thread(self.limiter.try_acquire, name))
        except (OSError, sqlite3.Error) as error:  # OSError: of the limiter's lock
            self._warn(error)
            require_granted(await self._own_limiter.try_acquire_async(name))

    async def acquire_turn(self, name: str) -> None:
        """Wait for the turn."""
        until = time.monotonic() + _MAX_TURN_WAIT
        while not self._try_turn():
            if time.monotonic() > until:
                _log.warning(
                    "%s: another process on this machine has kept its turn for %.0f s; this one no longer waits for it", name, _MAX_TURN_WAIT
                )
                return
            await asyncio.sleep(SECONDS_BETWEEN_TRIES)

    def release_turn(self) -> None:
        """Let another process have the turn. Do nothing if this one does not have it."""
        self._turn.release()

    def set_latest(self, at: float) -> None:
        """Store the time of the latest request, in seconds since 1970."""
        self._own_latest = at
        try:
            private_files.make_folder(self._folder)
            private_files.make_file(self._latest)
            os.utime(self._latest, (at, at))  # set, since the file system's clock may lag by a few milliseconds
        except OSError as error:
            self._warn(error)

    def latest(self) -> float:
        """Return the time of the latest request, in seconds since 1970; 0 if none is known."""
        try:
            return self._latest.stat().st_mtime
        except FileNotFoundError:
            return self._own_latest
        except OSError as error:
            self._warn(error)
            return self._own_latest

    def close(self) -> None:
        """Release the turn and stop the limiters."""
        self.release_turn()
        self.limiter.close()
        self._own_limiter.close()

    def _try_turn(self) -> bool:
        try:
            private_files.make_folder(self._folder)  # a cleanup of temporary files may have deleted it
            self._turn.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            self._warn(error)
        return True

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:  # once, since each request would fail in the same way
            self._has_warned = True
            _log.warning("%s: %s", NOT_SHARED % self._folder, error)


def shared_limit(rates: Sequence[Rate], state: Path) -> SharedLimit:
    """Return what processes share, from a new file if a system crash has damaged it.

    Raises:
        OSError: If the folder or a file cannot be created.
        sqlite3.OperationalError: If the file cannot be used now, such as one that another program has locked.
    """
    try:
        return SharedLimit(rates, state)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        state.unlink(missing_ok=True)
        return SharedLimit(rates, state)


def require_granted(granted: object) -> None:
    """Fail if a limiter has returned without a permission, which a blocking one never does."""
    if not granted:
        raise RuntimeError("the rate limiter refused to wait")
