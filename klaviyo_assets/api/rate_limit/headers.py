"""Reads the ``RateLimit-*`` headers. Pure.

Klaviyo's documentation gives one number a header, all of them about the minute
(https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling). Recorded responses have the form of an early draft of the IETF
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

_LARGEST = 10**9
"""Larger numbers are read as this one, so that arithmetic stays exact."""

_MOST_ITEMS = 32
"""Members of the list that are read."""

_ITEM = re.compile(r"""(?:[^,"]|"(?:[^"\\]|\\.)*"?)+""")
"""A member of the list; a comma within quotes does not end it."""

_PARAMETER = re.compile(r""";\s*([A-Za-z*][\w.*-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;"]*))""")


@dataclass(frozen=True)
class Quota:
    """So many requests in a window of so many seconds."""

    limit: int
    seconds: int


@dataclass(frozen=True)
class RateReport:
    """What the headers of one response say.

    Attributes:
        limit: Requests that the reported window allows, None if the headers do not say.
        seconds: Length of the reported window.
        remaining: ``RateLimit-Remaining``: requests left in that window. May be negative.
        reset: ``RateLimit-Reset``: whole seconds until that window ends, rounded either way.
        quotas: All windows that the header lists, the lowest limit of each length; empty where it lists none.
    """

    limit: int | None
    seconds: int
    remaining: int
    reset: int
    quotas: tuple[Quota, ...] = ()


def read_rate_headers(headers: Mapping[str, str], known: Sequence[Quota] = ()) -> RateReport | None:
    """Read the headers of a response.

    Args:
        headers: The response's headers.
        known: The endpoint's windows by its documentation. They determine which window a single number means where the header lists no windows.

    Returns:
        The report, or None where ``RateLimit-Remaining`` or ``RateLimit-Reset`` is missing or no number, as on a 429.

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
    # Several windows may have the same limit, and a list may come without the leading number: what is left must fit.
    return next((quota for quota in fitting if quota.seconds >= reset and quota.limit >= remaining), fitting[-1])


def _limit(text: str | None) -> tuple[int | None, tuple[Quota, ...]]:
    """Return the leading number and the windows that follow it."""
    leading: int | None = None
    quotas: list[Quota] = []
    for item in _ITEM.findall(text or "")[:_MOST_ITEMS]:
        limit = _number(item.partition(";")[0])
        lengths = [quoted or plain for name, quoted, plain in _PARAMETER.findall(item) if name.lower() == "w"]
        if limit is None or limit < 0:
            continue
        if not lengths:
            leading = limit if leading is None else leading
        elif limit and (seconds := _number(lengths[0])) is not None and seconds > 0:
            # A limit of 0 cannot be paced at, nor a window without a length.
            quotas.append(Quota(limit, seconds))
    return leading, tuple(dict.fromkeys(quotas))


def _lowest(quotas: Sequence[Quota]) -> tuple[Quota, ...]:
    """Return the lowest limit of each length, shortest window first."""
    lowest: dict[int, int] = {}
    for quota in quotas:
        lowest[quota.seconds] = min(quota.limit, lowest.get(quota.seconds, quota.limit))
    return tuple(Quota(limit, seconds) for seconds, limit in sorted(lowest.items()))


def _first_number(text: str | None) -> int | None:
    """Return the first of what may be several joined header lines."""
    return _number(text.split(",")[0].partition(";")[0]) if text is not None else None


def _number(text: str | None) -> int | None:
    """Return a number of a header, a fraction cut off; None for anything else, infinity included."""
    try:
        value = float((text or "").strip().strip('"'))
    except ValueError:
        return None
    return int(max(-_LARGEST, min(_LARGEST, value))) if math.isfinite(value) else None
