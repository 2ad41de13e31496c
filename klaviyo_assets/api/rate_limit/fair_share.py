"""Estimates our share of an endpoint's limit from what responses say about other clients. No I/O.

``limiter`` hands the share to ``pacing``, which turns it into requests per second.
"""

import math

from klaviyo_assets.api.rate_limit.headers import BURST_SECONDS, STEADY_SECONDS, RateReport
from klaviyo_assets.api.rate_limit.usage import SentRequest, Usage
from klaviyo_assets.catalog.endpoint import RateLimit

_NOTICEABLE = 0.05
"""Use by others below this share of the limit is not distinguished from chance."""

_RESERVE = 0.03
"""Share of the limit that stays unused while others are seen, since they and the estimate vary; more of a small limit, where chance weighs more."""

_LEAST = 0.1
"""Part of our own share that is used however much others seem to use, so that a sync always ends."""

_LARGEST_CUT = 0.5
"""Part of the present pace that remains after one cut: two syncs that see each other would else both stop."""

_BETWEEN_CUTS = 4.0
"""Seconds between two such cuts: what the first one changed must be seen before the next."""

_RISE = 0.01
"""Share of the limit a second by which the pace rises while others are seen, so that two syncs that see each other do not swing."""

_FAST_RISE = 0.03
"""The same while much of the limit is unused."""

_UNUSED = 0.15
"""Share of the limit that is much, when no one has used it in the last minute."""

_OVERUSE_REPAID_WITHIN = 20.0
"""Seconds within which use beyond the limit of a minute is made good."""

_FRESH = 2.0
"""Seconds during which what a response says about the minute is used."""

_ENDING = 10
"""Seconds before the end of a minute from which on what is left of it is no measure of a pace."""

_BETWEEN_LOOKS = 1.0
_MINUTE = float(STEADY_SECONDS)


class FairShare:
    """Follows one endpoint, whichever window its responses report.

    Args:
        limit: The limit.
        share: Share of the limit that we may use when no one else is there.

    Attributes:
        limit: As given; may be lowered to what responses say.
        own_share: Share of the limit that we may use now.
        foreign_share: Share of the limit that others use, as far as is known; 0 if that cannot be distinguished from nothing.
    """

    def __init__(self, limit: RateLimit, share: float) -> None:
        self.limit = limit
        self.own_share = share
        self.foreign_share = 0.0
        self._share = share
        self._usage = Usage()
        self._minute: tuple[float, RateReport] | None = None
        self._next_look, self._next_cut, self._looked = 0.0, 0.0, 0.0
        self._at_least, self._at_least_until = 0.0, 0.0

    def sent(self, now: float) -> SentRequest:
        """Record a request that is being sent."""
        return self._usage.sent(now)

    def answered(self, request: SentRequest, report: RateReport | None, now: float) -> None:
        """Record a response, or that there will be none.

        Args:
            request: The request.
            report: What the response's headers say, if anything.
            now: The monotonic clock.
        """
        used = used_of_minute = None
        if report is not None and report.limit is not None and 0 <= report.limit - report.remaining <= report.limit:
            if report.seconds == STEADY_SECONDS:
                used_of_minute, self._minute = report.limit - report.remaining, (now, report)
            elif report.seconds == BURST_SECONDS and report.limit > 1:  # of a window of one request nothing can be seen
                used = report.limit - report.remaining
        self._usage.answered(request, used=used, used_of_minute=used_of_minute)
        self._look(now)

    def rejected(self, request: SentRequest, retry_after: float, now: float) -> None:
        """Record a 429.

        If it asks to wait for more than a second, the minute is used up: what we have not used of it, others have.

        Args:
            request: The request.
            retry_after: Seconds that the response asks to wait.
            now: The monotonic clock.
        """
        self._usage.answered(request, rejected=True)
        if BURST_SECONDS < retry_after <= STEADY_SECONDS:
            began = now + retry_after - _MINUTE
            ours = self._usage.ours_since(began) / self.limit.steady
            passed = max(1.0, _MINUTE - retry_after) / _MINUTE
            self._at_least, self._at_least_until = min(1.0, (1.0 - ours) / passed), now + retry_after + _MINUTE / 2
            self._next_look = now
        self._look(now)

    def _look(self, now: float) -> None:
        if now < self._next_look:
            return
        passed, self._looked, self._next_look = min(_BETWEEN_CUTS, now - self._looked), now, now + _BETWEEN_LOOKS
        self._usage.look(now)
        others = self._seen(now)
        if others <= _NOTICEABLE:
            self.own_share, self.foreign_share = self._share, 0.0
            return
        self.foreign_share = min(1.0, others)
        self._follow(max(_LEAST * self._share, min(self._share, self._free(others, now))), passed, now)

    def _seen(self, now: float) -> float:
        """Return the share of the limit that others use."""
        if now < self._at_least_until and not self._usage.known:
            return self._at_least
        minute = _MINUTE / self.limit.steady
        # Once others are seen, chance no longer counts in favour of there being none.
        return self._usage.others * minute if self.foreign_share or self._usage.at_least * minute > _NOTICEABLE else 0.0

    def _free(self, others: float, now: float) -> float:
        """Return the share of the limit that others leave, less what was used too much in the last minute, and in the server's if that is known."""
        rate = self.limit.steady / _MINUTE
        usable = 1 - max(_RESERVE, 1 / math.sqrt(self.limit.steady))
        too_much = self._usage.used_beyond(usable * rate, now)
        free = usable - others - max(0.0, too_much) / _OVERUSE_REPAID_WITHIN / rate
        if self._minute is not None and now < self._minute[0] + _FRESH and _ENDING <= (reset := self._minute[1].reset) <= _MINUTE:
            free = min(free, self._minute[1].remaining / reset / rate - (1 - usable) - others)
        return free

    def _follow(self, free: float, passed: float, now: float) -> None:
        """Lower the pace at once, within reason, and raise it slowly."""
        if free >= self.own_share:
            much = max(_UNUSED, 3 / math.sqrt(self.limit.steady)) * self.limit.steady
            much_is_unused = self._usage.used_beyond(self.limit.steady / _MINUTE, now) < -much
            self.own_share = min(free, self.own_share + (_FAST_RISE if much_is_unused else _RISE) * passed)
        elif free >= _LARGEST_CUT * self.own_share:
            self.own_share = free
        elif now >= self._next_cut:
            self.own_share *= _LARGEST_CUT
            self._next_cut = now + _BETWEEN_CUTS
