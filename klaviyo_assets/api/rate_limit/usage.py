"""Estimates how many requests per second other clients send, from the window counts that responses report. Pure.

``RateLimit-Remaining`` counts the requests of all clients. If it is about the minute window, the growth of the count minus our own requests is the
others' usage. If it is about the one-second burst window, it is the highest count within a second of the server minus our requests of that second.
The server's second boundaries are unknown, and responses can arrive out of order, so only sums over several seconds are used.
"""

import itertools
import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median, pstdev

from klaviyo_assets.api.rate_limit.headers import STEADY_SECONDS

_MAX_FLIGHT = 5.0
"""Seconds after which a request without a response no longer blocks the count of the second in which it was sent."""

_MINUTE = float(STEADY_SECONDS)

_RECENT = 15
"""Number of seconds in the average."""

_ENOUGH = 60
"""Minimum responses in the average; with fewer, it includes earlier seconds, up to a minute."""

_EDGES = 2
"""Possible error of a sum over several seconds, in requests: the server may have counted ours in the second before or after."""

_LATEST = 4
"""Number of latest seconds used to detect a sudden rise."""

_MIN_SECONDS = 2
"""Minimum counted seconds for an estimate."""

_MIN_RESPONSES = 8
"""Minimum responses for an estimate."""

_CHANCE = 1.5
"""Standard deviations that count as chance."""

_DROP = 0.65
"""A count below this fraction of the previous one belongs to the next window."""


_FALLS = 0.4
"""Minimum drops per second of a fixed window's count; some drops between two requests are missed."""


_MANY = 4
"""Our requests per second at which most drops are visible."""

_SEVERAL = 2
"""With fewer requests per second, drops are rarely visible, so the window is assumed to be fixed, as documented."""

_LONG_ENOUGH = 3.0
"""Seconds without a drop after which the window is assumed to be sliding."""


@dataclass(eq=False)
class SentRequest:
    """One of our requests.

    Attributes:
        at: When it was sent, by the monotonic clock.
        used: The server's count of the burst window, including this request; None if unknown.
        used_of_minute: The same for the minute window.
        finished: True once the request has a response or has failed.
        rejected: True if the server rejected it, and so did not count it.
    """

    at: float
    used: int | None = None
    used_of_minute: int | None = None
    finished: bool = False
    rejected: bool = False


@dataclass(frozen=True)
class _Second:
    """One second.

    Attributes:
        requests: Our requests.
        more: The server's count at our last request, minus our requests.
        gapless: True if ``more`` covers the whole second; False if it ends with our last request.
    """

    requests: float
    more: float
    gapless: bool = False


@dataclass
class Usage:
    """Counts our requests of the last minute and estimates those of other clients.

    Example:
        >>> usage = Usage()
        >>> for number in range(40):  # we send ten requests per second, and so do others
        ...     request = usage.record_request(number / 10)
        ...     usage.record_response(request, used=2 * (number % 10) + 2)
        >>> usage.look(4.0)
        >>> round(usage.others)
        10

    Attributes:
        others: Estimated requests per second of others.
        at_least: Lower bound of the estimate, allowing for chance.
        known: True if there is enough data for an estimate.
    """

    others: float = 0.0
    at_least: float = 0.0
    known: bool = False
    _requests: deque[SentRequest] = field(default_factory=deque)
    _seconds: list[_Second] = field(default_factory=list)

    def record_request(self, now: float) -> SentRequest:
        """Record a request."""
        request = SentRequest(now)
        self._requests.append(request)
        return request

    def record_response(self, request: SentRequest, *, used: int | None = None, used_of_minute: int | None = None, rejected: bool = False) -> None:
        """Record a response.

        Args:
            request: The request.
            used: The server's count of the burst window, including this request; None if not reported.
            used_of_minute: The same for the minute.
            rejected: True on status 429.
        """
        request.finished, request.used, request.used_of_minute, request.rejected = True, used, used_of_minute, rejected

    def ours_since(self, start: float) -> int:
        """Return how many requests we have sent since an instant, within the last minute."""
        return sum(request.at >= start and not request.rejected for request in self._requests)

    def used_beyond(self, rate: float, now: float) -> float:
        """Return by how many requests all clients together have exceeded a rate in the last minute, or since our first request; may be negative.

        Args:
            rate: Requests per second.
            now: The monotonic clock.
        """
        lasted = min(_MINUTE, now - self._requests[0].at) if self._requests else 0.0
        counted = len(self._seconds) * _mean(self._seconds)
        return self.ours_since(now - _MINUTE) + counted + self.others * max(0.0, lasted - len(self._seconds)) - rate * lasted

    def look(self, now: float) -> None:
        """Update the estimate. Takes a millisecond or two, so call it about once a second."""
        while self._requests and self._requests[0].at < now - _MINUTE:
            self._requests.popleft()
        self._seconds = self._counted(now)
        recent = _recent(self._seconds)
        self.known = len(recent) >= _MIN_SECONDS and sum(second.requests for second in recent) >= _MIN_RESPONSES
        self.others = self.at_least = 0.0
        if self.known:
            latest = recent[-_LATEST:]
            # The median, since a single second in which a client catches up after a pause is not a rise.
            self.at_least = max(0.0, _at_least(recent, _mean(recent)), _at_least(latest, _median(latest)))
            self.others = max(self.at_least, _mean(recent))

    def _counted(self, now: float) -> list[_Second]:
        """Divide the last minute into seconds, without those that still have requests in flight."""
        requests = [request for request in self._requests if not request.rejected]
        end = min((request.at for request in requests if not request.finished and request.at > now - _MAX_FLIGHT), default=now)
        seconds = {**_from_the_minute(requests, end), **_from_the_burst(requests, end)}
        return [second for number in sorted(seconds) for second in seconds[number]]


def _from_the_burst(requests: list[SentRequest], end: float) -> dict[int, list[_Second]]:
    """Evaluate the counts of the burst window; return them by number of the second."""
    counts = [request for request in requests if request.used is not None]
    if not counts:
        return {}
    boundary, fixed = _boundary(counts)
    sent: dict[int, int] = {}
    used: dict[int, list[int]] = {}
    for request, before in zip(requests, _in_the_second_before(requests), strict=True):
        number = math.floor(request.at - boundary)
        sent[number] = sent.get(number, 0) + 1
        if request.used is not None:
            used.setdefault(number, []).append(request.used if fixed else request.used - before)
    whole = [number for number in sorted(used) if number + 1 + boundary <= end]
    if not fixed:
        return {number: [_Second(sent[number], sum(used[number]) / len(used[number]))] for number in whole[1:]}
    return {number: [_Second(sent[number], max(used[number]) - sent[number])] for number in whole}


def _from_the_minute(requests: list[SentRequest], end: float) -> dict[int, list[_Second]]:
    """Evaluate the counts of the minute window; return them by number of the second, without seconds in which a new window begins."""
    found: dict[int, list[_Second]] = {}
    before: tuple[int, int] | None = None
    sent = 0
    for number, group in itertools.groupby(requests, key=lambda request: math.floor(request.at)):
        of_second = list(group)
        sent += len(of_second)
        used = [request.used_of_minute for request in of_second if request.used_of_minute is not None]
        if not used or number + 1 > end:
            continue
        if before is not None and max(used) >= before[1]:
            gap = number - before[0]
            found[number] = [_Second(sent / gap, (max(used) - before[1] - sent) / gap, gapless=True)] * gap
        before, sent = (number, max(used)), 0
    return found


def _in_the_second_before(requests: list[SentRequest]) -> list[int]:
    """Return for each request how many requests we sent within one second up to and including it."""
    found, first = [], 0
    for last, request in enumerate(requests):
        while requests[first].at <= request.at - 1:
            first += 1
        found.append(last - first + 1)
    return found


def _boundary(counts: list[SentRequest]) -> tuple[float, bool]:
    """Return where to divide seconds, as a fraction of a second, and whether the server's window is fixed.

    The count drops where the server's next second begins. Dividing half a second later puts the end of each server second, which has the highest
    count, well inside one of ours. If the count rarely drops, the window is sliding, and the boundary does not matter.
    """
    x = y = 0.0
    falls = 0
    before = counts[0]
    for request in counts[1:]:
        if (request.used or 0) < _DROP * (before.used or 0) and request.at - before.at < 1:
            angle = math.pi * (before.at + request.at)  # midpoint of the two, on a circle of one second
            x, y, falls = x + math.cos(angle), y + math.sin(angle), falls + 1
        before = request
    lasted = counts[-1].at - counts[0].at
    expected = _FALLS * lasted if len(counts) >= _MANY * lasted else 1
    if falls < expected and lasted >= _LONG_ENOUGH and len(counts) >= _SEVERAL * lasted:
        return 0.0, False
    return (math.atan2(y, x) / (2 * math.pi) + 0.5) % 1.0, True


def _recent(seconds: list[_Second]) -> list[_Second]:
    """Return the latest seconds, as many as the average needs."""
    responses = 0.0
    for number, second in enumerate(reversed(seconds), 1):
        responses += second.requests
        if number >= _RECENT and responses >= _ENOUGH:
            return seconds[-number:]
    return seconds


def _mean(seconds: list[_Second]) -> float:
    """Return the mean number of requests per second of others."""
    return sum(second.more for second in seconds) / len(seconds) / _seen(seconds) if seconds else 0.0


def _seen(seconds: list[_Second]) -> float:
    """Return the visible fraction of a second, which ends with our last request in it: on average, half the gap between two requests is missing."""
    missing = 0.5 / max(1.0, sum(second.requests for second in seconds) / len(seconds))
    return 1 - missing * sum(not second.gapless for second in seconds) / len(seconds)


def _median(seconds: list[_Second]) -> float:
    """Return the median number of requests per second of others."""
    return median(second.more for second in seconds) / _seen(seconds)


def _at_least(seconds: list[_Second], middle: float) -> float:
    """Return a lower bound for the requests per second of others, allowing for chance.

    The requests of others vary like a Poisson process. Ours vary too, and the server may have counted those at both ends in another second.

    Args:
        seconds: The counted seconds.
        middle: Their mean or median.
    """
    ends = max(_EDGES, _CHANCE * pstdev(second.requests for second in seconds))
    return middle - _CHANCE * math.sqrt(max(0.0, middle) / len(seconds)) - ends / len(seconds) / _seen(seconds)
