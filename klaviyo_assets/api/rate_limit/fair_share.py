"""Computes our share of an endpoint's limit from the usage of other clients that responses reveal. Pure.

``limiter`` passes the share to ``pacing``, which converts it to requests per second.
"""

import math

from klaviyo_assets.api.rate_limit.headers import BURST_SECONDS, STEADY_SECONDS, RateReport
from klaviyo_assets.api.rate_limit.usage import SentRequest, Usage
from klaviyo_assets.catalog.endpoint import RateLimit

_NOTICEABLE = 0.05
"""Usage by others below this share of the limit is treated as noise."""

_RESERVE = 0.03
"""Share of the limit that stays unused while others are detected, since their usage and the estimate vary. Larger for small limits, which have more
noise."""

_MIN_SHARE = 0.1
"""Minimum part of our configured share, whatever others seem to use, so a sync always finishes."""

_MIN_LEFT_AFTER_CUT = 0.5
"""Minimum part of the current pace that remains after one cut. Otherwise two syncs that detect each other would both stop."""

_BETWEEN_CUTS = 4.0
"""Seconds between two such cuts, so the effect of the first one is measured before the next."""

_RISE = 0.01
"""Share of the limit by which the pace rises per second while others are detected. Slow, so two syncs that detect each other do not oscillate."""

_FAST_RISE = 0.03
"""The same while the limit is largely unused."""

_LARGELY_UNUSED = 0.15
"""If more than this share of the limit went unused in the last minute, the pace rises faster."""

_OVERUSE_REPAID_WITHIN = 20.0
"""Seconds within which usage beyond the limit of a minute is compensated."""

_FRESH_SECONDS = 2.0
"""Seconds for which a response's count of the minute window is used."""

_ENDING_SECONDS = 10
"""In the last seconds of a minute window, its remaining requests do not determine the pace."""

_SECONDS_BETWEEN_UPDATES = 1.0
_MINUTE = float(STEADY_SECONDS)


class FairShare:
    """Our share of one endpoint's limit, whichever window its responses report.

    Args:
        limit: The limit.
        share: Share of the limit that we may use while no other client is detected.

    Attributes:
        limit: As given; the limiter lowers it if responses report less.
        own_share: Share of the limit that we may use now.
        foreign_share: Estimated share of the limit that others use; 0 if it is within the noise.
    """

    def __init__(self, limit: RateLimit, share: float) -> None:
        self.limit = limit
        self.own_share = share
        self.foreign_share = 0.0
        self._share = share
        self._usage = Usage()
        self._minute: tuple[float, RateReport] | None = None
        self._next_update, self._next_cut, self._updated = 0.0, 0.0, 0.0
        self._at_least, self._at_least_until = 0.0, 0.0

    def record_request(self, now: float) -> SentRequest:
        """Record a request as it is sent."""
        return self._usage.record_request(now)

    def record_response(self, request: SentRequest, report: RateReport | None, now: float) -> None:
        """Record a response, or a request that gets none.

        Args:
            request: The request.
            report: The parsed headers of the response, if any.
            now: The monotonic clock.
        """
        used = used_of_minute = None
        if report is not None and report.limit is not None and 0 <= report.limit - report.remaining <= report.limit:
            if report.seconds == STEADY_SECONDS:
                used_of_minute, self._minute = report.limit - report.remaining, (now, report)
            elif report.seconds == BURST_SECONDS and report.limit > 1:  # a window of one request reveals nothing
                used = report.limit - report.remaining
        self._usage.record_response(request, used=used, used_of_minute=used_of_minute)
        self._update_estimate(now)

    def record_rejection(self, request: SentRequest, retry_after: float, now: float) -> None:
        """Record a 429.

        If ``Retry-After`` is more than a second, the minute window is used up: others have used what we have not.

        Args:
            request: The request.
            retry_after: Seconds of ``Retry-After``.
            now: The monotonic clock.
        """
        self._usage.record_response(request, rejected=True)
        if BURST_SECONDS < retry_after <= STEADY_SECONDS:
            began = now + retry_after - _MINUTE
            own_share = self._usage.ours_since(began) / self.limit.steady
            passed = max(1.0, _MINUTE - retry_after) / _MINUTE
            self._at_least, self._at_least_until = min(1.0, (1.0 - own_share) / passed), now + retry_after + _MINUTE / 2
            self._next_update = now
        self._update_estimate(now)

    def _update_estimate(self, now: float) -> None:
        if now < self._next_update:
            return
        passed, self._updated, self._next_update = min(_BETWEEN_CUTS, now - self._updated), now, now + _SECONDS_BETWEEN_UPDATES
        self._usage.look(now)
        others = self._detected(now)
        if others <= _NOTICEABLE:
            self.own_share, self.foreign_share = self._share, 0.0
            return
        self.foreign_share = min(1.0, others)
        self._adjust(max(_MIN_SHARE * self._share, min(self._share, self._free(others, now))), passed, now)

    def _detected(self, now: float) -> float:
        """Return the share of the limit that others use."""
        if now < self._at_least_until and not self._usage.known:
            return self._at_least
        minute = _MINUTE / self.limit.steady
        # Once others are detected, the estimate itself counts, not its lower bound.
        return self._usage.others * minute if self.foreign_share or self._usage.at_least * minute > _NOTICEABLE else 0.0

    def _free(self, others: float, now: float) -> float:
        """Return the share of the limit that others leave, less the overuse of the last minute, within what the server's minute has left if known."""
        rate = self.limit.steady / _MINUTE
        usable = 1 - max(_RESERVE, 1 / math.sqrt(self.limit.steady))
        too_much = self._usage.used_beyond(usable * rate, now)
        free = usable - others - max(0.0, too_much) / _OVERUSE_REPAID_WITHIN / rate
        if self._minute is not None and now < self._minute[0] + _FRESH_SECONDS and _ENDING_SECONDS <= (reset := self._minute[1].reset) <= _MINUTE:
            free = min(free, self._minute[1].remaining / reset / rate - (1 - usable) - others)
        return free

    def _adjust(self, free: float, passed: float, now: float) -> None:
        """Lower the share at once, but not by more than half, and raise it slowly."""
        if free >= self.own_share:
            threshold = max(_LARGELY_UNUSED, 3 / math.sqrt(self.limit.steady)) * self.limit.steady
            is_largely_unused = self._usage.used_beyond(self.limit.steady / _MINUTE, now) < -threshold
            self.own_share = min(free, self.own_share + (_FAST_RISE if is_largely_unused else _RISE) * passed)
        elif free >= _MIN_LEFT_AFTER_CUT * self.own_share:
            self.own_share = free
        elif now >= self._next_cut:
            self.own_share *= _MIN_LEFT_AFTER_CUT
            self._next_cut = now + _BETWEEN_CUTS
