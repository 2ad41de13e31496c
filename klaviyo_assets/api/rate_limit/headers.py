"""Parses the ``RateLimit-*`` headers. Pure.

Klaviyo documents one number per header, all about the minute window
(https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling). Recorded responses follow an early IETF draft
(https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-03): ``RateLimit-Limit: 350, 350;w=1, 3500;w=60`` is the limit of the
window that ``RateLimit-Remaining`` and ``RateLimit-Reset`` refer to, then all windows. That window is nearly always the one-second burst.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BURST_SECONDS = 1
"""Length of Klaviyo's burst window."""

STEADY_SECONDS = 60
"""Length of Klaviyo's steady window."""

_MAX_NUMBER = 10**9
"""Larger numbers are clamped to this, so arithmetic stays exact."""

_MAX_ITEMS = 32
"""Maximum number of list members to parse."""

_ITEM = re.compile(r"""(?:[^,"]|"(?:[^"\\]|\\.)*"?)+""")
"""A member of the list; a comma within quotes does not end it."""

_PARAMETER = re.compile(r""";\s*([A-Za-z*][\w.*-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;"]*))""")


@dataclass(frozen=True)
class Quota:
    """A limit of requests in a window of some seconds."""

    limit: int
    seconds: int


@dataclass(frozen=True)
class RateReport:
    """The parsed headers of one response.

    Attributes:
        limit: Requests that the reported window allows; None if unknown.
        seconds: Length of the reported window.
        remaining: ``RateLimit-Remaining``: requests left in that window. May be negative.
        reset: ``RateLimit-Reset``: whole seconds until that window ends, rounded up or down.
        quotas: All listed windows, with the lowest limit for each length; empty if none are listed.
    """

    limit: int | None
    seconds: int
    remaining: int
    reset: int
    quotas: tuple[Quota, ...] = ()


def read_rate_headers(headers: Mapping[str, str], known: Sequence[Quota] = ()) -> RateReport | None:
    """Parse the headers of a response.

    Args:
        headers: The response's headers.
        known: The endpoint's documented windows. They determine which window a single number means if the header lists no windows.

    Returns:
        The report, or None if ``RateLimit-Remaining`` or ``RateLimit-Reset`` is missing or not a number, as on a 429.

    Example:
        >>> read_rate_headers({"RateLimit-Limit": "3, 3;w=1, 60;w=60", "RateLimit-Remaining": "2", "RateLimit-Reset": "0"})
        RateReport(limit=3, seconds=1, remaining=2, reset=0, quotas=(Quota(limit=3, seconds=1), Quota(limit=60, seconds=60)))
    """
    remaining, reset = _first_number(headers.get("RateLimit-Remaining")), _first_number(headers.get("RateLimit-Reset"))
    if remaining is None or reset is None:
        return None
    limit, listed = _limit(headers.get("RateLimit-Limit"))
    window = _window(limit, listed or tuple(known), remaining, reset, documented=not listed)
    return RateReport(window.limit if limit is None and listed else limit, window.seconds, remaining, reset, _lowest(listed))


def _window(limit: int | None, quotas: Sequence[Quota], remaining: int, reset: int, *, documented: bool) -> Quota:
    """Return the window that the report is about."""
    fitting = [quota for quota in quotas if quota.limit == limit] if limit is not None else []
    if not fitting and documented:
        return Quota(limit or 0, STEADY_SECONDS)
    fitting = sorted(fitting or quotas, key=lambda quota: quota.seconds)
    # Several windows may have the same limit, and the leading number may be missing: choose a window that the other two numbers fit.
    return next((quota for quota in fitting if quota.seconds >= reset and quota.limit >= remaining), fitting[-1])


def _limit(text: str | None) -> tuple[int | None, tuple[Quota, ...]]:
    """Return the leading number and the windows that follow it."""
    leading: int | None = None
    quotas: list[Quota] = []
    for item in _ITEM.findall(text or "")[:_MAX_ITEMS]:
        limit = _number(item.partition(";")[0])
        lengths = [quoted or plain for name, quoted, plain in _PARAMETER.findall(item) if name.lower() == "w"]
        if limit is None or limit < 0:
            continue
        if not lengths:
            leading = limit if leading is None else leading
        elif limit and (seconds := _number(lengths[0])) is not None and seconds > 0:
            # A limit of 0 or a window without a length cannot be paced.
            quotas.append(Quota(limit, seconds))
    return leading, tuple(dict.fromkeys(quotas))


def _lowest(quotas: Sequence[Quota]) -> tuple[Quota, ...]:
    """Return the lowest limit for each window length, shortest window first."""
    lowest: dict[int, int] = {}
    for quota in quotas:
        lowest[quota.seconds] = min(quota.limit, lowest.get(quota.seconds, quota.limit))
    return tuple(Quota(limit, seconds) for seconds, limit in sorted(lowest.items()))


def _first_number(text: str | None) -> int | None:
    """Return the number in the first of several joined header lines."""
    return _number(text.split(",")[0].partition(";")[0]) if text is not None else None


def _number(text: str | None) -> int | None:
    """Parse a number, truncated to an integer; None for anything else, including infinity."""
    try:
        value = float((text or "").strip().strip('"'))
    except ValueError:
        return None
    return int(max(-_MAX_NUMBER, min(_MAX_NUMBER, value))) if math.isfinite(value) else None
