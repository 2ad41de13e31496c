"""An event loop with a virtual clock that jumps to the next timer, so tests of minutes run at once and exactly."""

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest


def now() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while no task is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 1_000.0

    def time(self) -> float:
        return self.passed

    def _run_once(self) -> None:
        # Cancelled timers stay in the list for a while and must not count.
        due = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        if not self._ready and due:  # type: ignore[attr-defined]
            self.passed = max(self.passed, min(due))
        super()._run_once()  # type: ignore[misc]


def run_in_virtual_time(main: Coroutine[Any, Any, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a coroutine to its end, with the rate limiter's clocks set to the loop's."""
    loop = VirtualLoop()
    for module in ("limiter", "pacing"):
        monkeypatch.setattr(f"klaviyo_assets.api.rate_limit.{module}.time", SimpleNamespace(monotonic=loop.time))
    monkeypatch.setattr("pyrate_limiter.clocks.monotonic_ns", lambda: round(loop.time() * 1e9))
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
