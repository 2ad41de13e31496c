"""Keeps requests to an endpoint within Klaviyo's rate-limit windows, and leaves quota to the account's other integrations.

All integrations of an account share its limits: https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling .
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from klaviyo_assets.api.rate_limit.concurrency import Concurrency
from klaviyo_assets.api.rate_limit.daily import DailyWindow
from klaviyo_assets.api.rate_limit.fair_share import FairShare
from klaviyo_assets.api.rate_limit.headers import BURST_SECONDS, STEADY_SECONDS, Quota, RateReport, read_rate_headers
from klaviyo_assets.api.rate_limit.pacing import MAX_PACED_SECONDS, file_name, lowered, pacing_of
from klaviyo_assets.api.rate_limit.quota import QuotaWindow
from klaviyo_assets.api.rate_limit.usage import SentRequest
from klaviyo_assets.api.request_waits import WaitReason
from klaviyo_assets.api.waits import duration
from klaviyo_assets.catalog.endpoint import RateLimit

_MIN_CHANGE = 0.02
"""Minimum change of our share that changes the pace."""

_SECONDS_BEFORE_LOG = 10
"""Waits longer than this are logged."""

_NEARLY_FULL = 10
"""When less than one in this many requests of a burst window remains, we leave the rest of that second to others."""

_REMEDY = (
    "What to do: nothing, it continues by itself. If it happens often, see which other integrations of the account send many requests, or lower "
    "KLAVIYO_RATE_LIMIT_SHARE."
)

_log = logging.getLogger("klaviyo_assets")


class RateLimiter:
    """The rate limiter of one endpoint; every request to it passes here first.

    Requests are paced at the configured share of the limit (:mod:`klaviyo_assets.api.rate_limit.pacing`). The limiter also obeys the server: it
    closes for ``Retry-After`` on a 429, and while requests in flight use up the rest of the minute (:mod:`klaviyo_assets.api.rate_limit.quota`).

    Args:
        name: The endpoint, for logs.
        limit: Klaviyo's limit.
        share: Share of the limit to use, above 0 up to 1.
        shared: Folder through which processes share limits of up to three requests per second; None limits this process alone.

    Attributes:
        name: The endpoint.
        seconds_waited: Time that requests have waited here, in seconds.
    """

    def __init__(self, name: str, limit: RateLimit, share: float, shared: Path | None = None) -> None:
        self.seconds_waited = 0.0
        self.name = name
        self._closed_until = 0.0
        self._logged_until = 0.0
        self._documented = limit
        self._known = (Quota(limit.burst, BURST_SECONDS), Quota(limit.steady, STEADY_SECONDS))
        self._window = QuotaWindow()
        self._burst_full_until = 0.0
        self._fair_share = FairShare(limit, share)
        self._in_flight: deque[SentRequest] = deque()
        self._paced_share = share
        self._concurrency = Concurrency(limit.steady / 60 * share)
        self._turn = asyncio.Lock()
        self._state_changed = asyncio.Event()
        self._pacing = pacing_of(limit, share, name, shared)
        day = None if shared is None else shared / f"{file_name(name)}.day.sqlite"
        self._day = None if limit.daily is None else DailyWindow(name, limit.daily, share, day)

    @property
    def target_in_flight(self) -> int:
        """Number of requests that should be in flight to use the full limit."""
        return self._concurrency.size

    async def acquire(self) -> SentRequest:
        """Wait until one more request may be sent.

        Returns:
            The request, for :meth:`release`.

        Raises:
            DailyLimitReached: If our share of a daily limit is used up.
        """
        began = time.monotonic()
        if self._day is not None:
            await asyncio.to_thread(self._day.check)
        await self._wait_until_open()
        async with self._turn:
            self._update_pace()
            await self._pacing.acquire_turn(self.name)
            try:
                # Checked again with the turn held, so waiting requests are not all sent at once when the limiter opens.
                await self._wait_until_open()
                if self._day is not None:
                    await asyncio.to_thread(self._day.count)
            except BaseException:
                self._pacing.end_turn()
                raise
            request = self._fair_share.record_request(time.monotonic())
            self._in_flight.append(request)
        self.seconds_waited += time.monotonic() - began
        return request

    def release(self, headers: Mapping[str, str], request: SentRequest | None = None, rejected_for: float | None = None) -> None:
        """Record a finished request and the limits that its response reports.

        Args:
            headers: Headers of the response; empty if there was none.
            request: The request from :meth:`acquire`; by default, the oldest one without a response.
            rejected_for: On status 429, the seconds of ``Retry-After``.
        """
        request = request or self._in_flight[0]
        self._in_flight.remove(request)
        self._pacing.end_turn()
        now = time.monotonic()
        if rejected_for is not None:
            self._fair_share.record_rejection(request, rejected_for, now)
        else:
            report = read_rate_headers(headers, self._known)
            self._fair_share.record_response(request, report, now)
            if report is not None:
                self._note(report, now)
        self._state_changed.set()
        self._state_changed = asyncio.Event()

    def _note(self, report: RateReport, now: float) -> None:
        if report.seconds <= BURST_SECONDS:
            if report.remaining < (report.limit or 0) / _NEARLY_FULL:
                # The window that counted the request ends within one second.
                self._burst_full_until = now + BURST_SECONDS
        elif report.seconds <= MAX_PACED_SECONDS:
            self._window.note(remaining=report.remaining, reset=min(report.reset, report.seconds), now=now)
            self._log_long_wait(self._seconds_full())
        limit = lowered(self._documented, report.quotas)
        if report.quotas and limit != self._fair_share.limit:
            self._change_limit(limit)

    def _change_limit(self, limit: RateLimit) -> None:
        """Adopt a reported limit that is lower than the documented one."""
        _log.info("%s: responses report a limit of %d a second and %d a minute", self.name, limit.burst, limit.steady)
        self._fair_share.limit = limit
        self._pacing.change(self._paced_share, limit)
        self._concurrency.rate = limit.steady / 60 * self._paced_share

    def observe_latency(self, seconds: float) -> None:
        """Record how long a response took, including decoding."""
        self._concurrency.note(time.monotonic(), seconds)

    def close_for(self, seconds: float) -> None:
        """Block all requests for this many seconds plus jitter; the caller logs the reason."""
        self._closed_until = max(self._closed_until, time.monotonic() + seconds + random.uniform(0.05, 0.25))  # noqa: S311
        self._logged_until = max(self._logged_until, self._closed_until)

    def wait_reason(self) -> WaitReason | None:
        """Return why a request waits in :meth:`acquire`; None if that has been logged."""
        now = time.monotonic()
        if now < self._logged_until:
            return None
        if (seconds := max(self._closed_until - now, self._seconds_full())) > 0:
            return WaitReason(logging.WARNING, _wait_text(seconds))
        limit, share = self._fair_share.limit, self._fair_share.own_share
        pace = f"at most {limit.steady * share:.0f} a minute are sent, {100 * share:.0f} % of the account's rate limit"
        return WaitReason(logging.INFO, f"requests wait for their turn; {pace}. What to do: nothing, unless another process on this machine hangs.")

    def dispose(self) -> None:
        """Release the limiter's resources."""
        self._pacing.close()
        if self._day is not None:
            self._day.close()

    def _update_pace(self) -> None:
        """Adjust the pace to what the account's other integrations leave of our share."""
        share = self._fair_share.own_share
        if abs(share - self._paced_share) >= _MIN_CHANGE or (share != self._paced_share and not self._fair_share.foreign_share):
            _log.info(
                "%s: other clients use %.0f %% of the account's rate limit, so this sync uses up to %.0f %%. What to do: nothing; it uses more "
                "as soon as they use less.",
                self.name,
                100 * self._fair_share.foreign_share,
                100 * share,
            )
            self._pacing.change(share, self._fair_share.limit)
            self._paced_share = share
            self._concurrency.rate = self._fair_share.limit.steady / 60 * share

    async def _wait_until_open(self) -> None:
        # A response can extend or shorten the wait, so check again after each.
        while (seconds := max(max(self._closed_until, self._burst_full_until) - time.monotonic(), self._seconds_full())) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._state_changed.wait(), seconds)

    def _seconds_full(self) -> float:
        others = self._fair_share.foreign_share / self._fair_share.own_share
        return self._window.seconds_full(in_flight=len(self._in_flight), others=others, now=time.monotonic())

    def _log_long_wait(self, seconds: float) -> None:
        """Log a long wait, once."""
        now = time.monotonic()
        if seconds > _SECONDS_BEFORE_LOG and now + seconds > self._logged_until + _SECONDS_BEFORE_LOG:
            _log.warning("%s: %s", self.name, _wait_text(seconds))
            self._logged_until = now + seconds


def _wait_text(seconds: float) -> str:
    return f"waiting {duration(seconds)}, since the account's rate limit is used up. {_REMEDY}"
