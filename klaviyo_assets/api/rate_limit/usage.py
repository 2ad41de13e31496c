"""How many requests a second other clients send, from what responses say is used of a window. Pure.

``RateLimit-Remaining`` counts everybody's requests. Where it is about the minute, others sent what the count has grown by beyond our own requests.
Where it is about the one-second burst, others sent its highest count in a second of the server less our own requests of that second. Where the
server's seconds begin is not known, and responses overtake each other, so only sums over several seconds are used.
"""

import itertools
import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median, pstdev

_LONGEST_FLIGHT = 5.0
"""Seconds after which a request without a response no longer holds up the count of the second in which it was sent."""

_MINUTE = 60.0

_RECENT = 15
"""Number of seconds that the average looks back on."""

_ENOUGH = 60
"""Responses that the average needs; where fewer come in that time it looks back further, up to a minute."""

_EDGES = 2
"""Requests by which a sum over some seconds may be wrong at its ends, since ours may have been counted in the second before or after."""

_LATEST = 4
"""Number of seconds that show a sudden rise."""

_FEWEST = 2
"""Seconds that must have been counted before others are seen at all."""

_FEWEST_RESPONSES = 8
"""Responses that must have come before others are seen at all."""

_CHANCE = 1.5
"""Standard deviations by which the latest seconds may exceed the average by chance."""

_DROP = 0.65
"""A count below this part of the one before belongs to the next window."""


_FALLS = 0.4
"""How often the counts of a fixed window fall, at least, per second of the server; some falls are between two requests and not seen."""


_MANY = 4
"""Our requests a second from which on most falls are seen."""

_SEVERAL = 2
"""Our requests a second below which a window counts as fixed, as documented, since falls are hardly ever seen."""

_LONG_ENOUGH = 3.0
"""Seconds after which a window without falls is taken for a sliding one."""


@dataclass(eq=False)
class SentRequest:
    """One request of ours.

    Attributes:
        at: When it was sent, on the monotonic clock.
        used: What the server had counted in its burst window with it, None as long as that is not known.
        used_of_minute: The same of its minute.
        answered: True once there is a response, or there will be none.
        rejected: True if the server rejected it, and so did not count it.
    """

    at: float
    used: int | None = None
    used_of_minute: int | None = None
    answered: bool = False
    rejected: bool = False


@dataclass(frozen=True)
class _Second:
    """One second: our requests in it, by how many more the server counted until our last one, and whether it counts from one last one to the next."""

    ours: float
    more: float
    gapless: bool = False


@dataclass
class Usage:
    """Counts our requests of the last minute, and estimates those of others.

    Example:
        >>> usage = Usage()
        >>> for number in range(40):  # ten requests a second of ours, and as many of others
        ...     request = usage.sent(number / 10)
        ...     usage.answered(request, used=2 * (number % 10) + 2)
        >>> usage.look(4.0)
        >>> round(usage.others)
        10

    Attributes:
        others: Requests a second that others send now, as far as is known.
        at_least: Requests a second that others send even if part of that was chance.
        known: True if enough was seen for ``others`` to mean something.
    """

    others: float = 0.0
    at_least: float = 0.0
    known: bool = False
    _requests: deque[SentRequest] = field(default_factory=deque)
    _seconds: list[_Second] = field(default_factory=list)

    def sent(self, now: float) -> SentRequest:
        """Record a request."""
        request = SentRequest(now)
        self._requests.append(request)
        return request

    def answered(self, request: SentRequest, *, used: int | None = None, used_of_minute: int | None = None, rejected: bool = False) -> None:
        """Record a response.

        Args:
            request: The request.
            used: Requests counted in the burst window, this one included; None if the response does not say.
            used_of_minute: The same for the minute.
            rejected: True on status 429.
        """
        request.answered, request.used, request.used_of_minute, request.rejected = True, used, used_of_minute, rejected

    def ours_since(self, start: float) -> int:
        """Return how many requests we have sent since an instant, of the last minute at most."""
        return sum(request.at >= start and not request.rejected for request in self._requests)

    def used_beyond(self, rate: float, now: float) -> float:
        """Return by how many requests all clients have exceeded a rate in the last minute, or since our first request; may be negative.

        Args:
            rate: Requests a second.
            now: The monotonic clock.
        """
        lasted = min(_MINUTE, now - self._requests[0].at) if self._requests else 0.0
        counted = len(self._seconds) * _mean(self._seconds)
        return self.ours_since(now - _MINUTE) + counted + self.others * max(0.0, lasted - len(self._seconds)) - rate * lasted

    def look(self, now: float) -> None:
        """Bring the estimate up to date. Takes a millisecond or two, so once a second is often enough."""
        while self._requests and self._requests[0].at < now - _MINUTE:
            self._requests.popleft()
        self._seconds = self._counted(now)
        recent = _recent(self._seconds)
        self.known = len(recent) >= _FEWEST and sum(second.ours for second in recent) >= _FEWEST_RESPONSES
        self.others = self.at_least = 0.0
        if self.known:
            latest = recent[-_LATEST:]
            # The median: one second in which a client makes up for a pause is not a rise.
            self.at_least = max(0.0, _at_least(recent, _mean(recent)), _at_least(latest, _median(latest)))
            self.others = max(self.at_least, _mean(recent))

    def _counted(self, now: float) -> list[_Second]:
        """Divide the last minute into seconds, those in which responses are still missing left out."""
        requests = [request for request in self._requests if not request.rejected]
        end = min((request.at for request in requests if not request.answered and request.at > now - _LONGEST_FLIGHT), default=now)
        seconds = {**_from_the_minute(requests, end), **_from_the_burst(requests, end)}
        return [second for number in sorted(seconds) for second in seconds[number]]


def _from_the_burst(requests: list[SentRequest], end: float) -> dict[int, list[_Second]]:
    """Return what the counts of the burst window show, by the number of the second."""
    counts = [request for request in requests if request.used is not None]
    if not counts:
        return {}
    boundary, fixed = _boundary(counts)
    ours: dict[int, int] = {}
    used: dict[int, list[int]] = {}
    for request, before in zip(requests, _in_the_second_before(requests), strict=True):
        number = math.floor(request.at - boundary)
        ours[number] = ours.get(number, 0) + 1
        if request.used is not None:
            used.setdefault(number, []).append(request.used if fixed else request.used - before)
    whole = [number for number in sorted(used) if number + 1 + boundary <= end]
    if not fixed:
        return {number: [_Second(ours[number], sum(used[number]) / len(used[number]))] for number in whole[1:]}
    return {number: [_Second(ours[number], max(used[number]) - ours[number])] for number in whole}


def _from_the_minute(requests: list[SentRequest], end: float) -> dict[int, list[_Second]]:
    """Return what the counts of the minute show, by the number of the second; a second in which a new minute begins is left out."""
    found: dict[int, list[_Second]] = {}
    before: tuple[int, int] | None = None
    ours = 0
    for number, group in itertools.groupby(requests, key=lambda request: math.floor(request.at)):
        of_second = list(group)
        ours += len(of_second)
        used = [request.used_of_minute for request in of_second if request.used_of_minute is not None]
        if not used or number + 1 > end:
            continue
        if before is not None and max(used) >= before[1]:
            gap = number - before[0]
            found[number] = [_Second(ours / gap, (max(used) - before[1] - ours) / gap, gapless=True)] * gap
        before, ours = (number, max(used)), 0
    return found


def _in_the_second_before(requests: list[SentRequest]) -> list[int]:
    """Return for each request how many of ours were sent within the second before it, itself included."""
    found, first = [], 0
    for last, request in enumerate(requests):
        while requests[first].at <= request.at - 1:
            first += 1
        found.append(last - first + 1)
    return found


def _boundary(counts: list[SentRequest]) -> tuple[float, bool]:
    """Return where to divide the seconds, as a part of a second, and whether the server's window is a fixed one.

    The counts fall where a new second of the server begins. Dividing half a second later puts the end of each of its seconds, which has the highest
    count, well within one of ours. If the counts hardly ever fall the window is a sliding one, and any place is as good.
    """
    x = y = 0.0
    falls = 0
    before = counts[0]
    for request in counts[1:]:
        if (request.used or 0) < _DROP * (before.used or 0) and request.at - before.at < 1:
            angle = math.pi * (before.at + request.at)  # the middle between the two, on a circle of one second
            x, y, falls = x + math.cos(angle), y + math.sin(angle), falls + 1
        before = request
    lasted = counts[-1].at - counts[0].at
    expected = _FALLS * lasted if len(counts) >= _MANY * lasted else 1
    if falls < expected and lasted >= _LONG_ENOUGH and len(counts) >= _SEVERAL * lasted:
        return 0.0, False
    return (math.atan2(y, x) / (2 * math.pi) + 0.5) % 1.0, True


def _recent(seconds: list[_Second]) -> list[_Second]:
    """Return the latest seconds, as many as an average needs."""
    responses = 0.0
    for number, second in enumerate(reversed(seconds), 1):
        responses += second.ours
        if number >= _RECENT and responses >= _ENOUGH:
            return seconds[-number:]
    return seconds


def _mean(seconds: list[_Second]) -> float:
    """Return how many requests others have sent in a second, on average."""
    return sum(second.more for second in seconds) / len(seconds) / _seen(seconds) if seconds else 0.0


def _seen(seconds: list[_Second]) -> float:
    """Return the part of a second that lies before the last of our requests in it: on average half of the gap between two of ours is missing."""
    missing = 0.5 / max(1.0, sum(second.ours for second in seconds) / len(seconds))
    return 1 - missing * sum(not second.gapless for second in seconds) / len(seconds)


def _median(seconds: list[_Second]) -> float:
    """Return how many requests others have sent in most seconds."""
    return median(second.more for second in seconds) / _seen(seconds)


def _at_least(seconds: list[_Second], middle: float) -> float:
    """Return the requests a second that others send at least, if what was counted is partly chance.

    Others vary as a Poisson process does. Ours vary too, and those at both ends may have been counted in another second than here.

    Args:
        seconds: What was counted.
        middle: Its mean or median.
    """
    ends = max(_EDGES, _CHANCE * pstdev(second.ours for second in seconds))
    return middle - _CHANCE * math.sqrt(max(0.0, middle) / len(seconds)) - ends / len(seconds) / _seen(seconds)
