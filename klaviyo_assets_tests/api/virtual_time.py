"""An event loop whose clock jumps to the next thing that is due, so that minutes pass at once and to the millisecond."""

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes only while nobody has anything to do."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 1_000.0

    def time(self) -> float:
        return self.passed

    def _run_once(self) -> None:
        # A timer that was cancelled stays in the list for a while; the real time would pass until the next one.
        due = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        if not self._ready and due:  # type: ignore[attr-defined]
            self.passed = max(self.passed, min(due))
        super()._run_once()  # type: ignore[misc]


def run_in_virtual_time(main: Coroutine[Any, Any, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a coroutine to its end; the gates' clock and the limiter's are the loop's."""
    loop = VirtualLoop()
    for module in ("limiter", "pacing"):
        monkeypatch.setattr(f"klaviyo_assets.api.rate_limit.{module}.time", SimpleNamespace(monotonic=loop.time))
    monkeypatch.setattr("pyrate_limiter.clocks.monotonic_ns", lambda: round(loop.time() * 1e9))
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
