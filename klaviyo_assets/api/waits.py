"""Describes waits for messages: how long, and until when."""

from datetime import UTC, datetime, timedelta

_TIME_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))

_LONG_WAIT = 60.0
"""Waits longer than this many seconds are shown with their end."""


def duration(seconds: float) -> str:
    """Format a duration in its two largest units, rounded up to a whole second.

    Example:
        >>> duration(1), duration(90), duration(7200)
        ('1 second', '1 minute 30 seconds', '2 hours')
    """
    left = max(0, -int(-seconds // 1))
    parts: list[str] = []
    for unit, size in (*_TIME_UNITS, ("second", 1)):
        count, left = divmod(left, size)
        if count or (unit == "second" and not parts):
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(parts[:2])


def wait_text(seconds: float | None, now: datetime | None) -> str:
    """Return a sentence (after a space) with the wait that the server asks for; empty without one.

    Args:
        seconds: Seconds to wait.
        now: Time of the response; None if unknown.
    """
    if not seconds:
        return ""
    until = _until(seconds, now) if seconds > _LONG_WAIT else None
    return f" The server asks to wait {duration(seconds)}{f', until {until}' if until else ''}."


def not_before(seconds: float | None, now: datetime | None) -> str:
    """Return when to try again, as the end of a sentence (after a space): ``tomorrow, after 2026-01-02 00:00 UTC``."""
    until = _until(seconds, now) if seconds else None
    if until is None or seconds is None or now is None:
        return " later"
    days = ((now + timedelta(seconds=seconds)).astimezone(UTC).date() - now.astimezone(UTC).date()).days
    return f"{' tomorrow,' if days == 1 else ''} after {until}"


def _until(seconds: float, now: datetime | None) -> str | None:
    try:
        # Rounded up to a whole minute, so the time shown is never too early.
        return f"{(now + timedelta(seconds=seconds + 59)).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if now is not None else None
    except OverflowError:
        return None
