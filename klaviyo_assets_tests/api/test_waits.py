"""Descriptions of waits in messages."""

from datetime import UTC, datetime

import pytest

from klaviyo_assets.api.klaviyo_errors import EdgeRateLimited, RateLimited, ServerFault
from klaviyo_assets.api.waits import duration, not_before, wait_text

NOON = datetime(2026, 11, 27, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (0.2, "1 second"),
        (1, "1 second"),
        (1.5, "2 seconds"),
        (60, "1 minute"),
        (61, "1 minute 1 second"),
        (3600, "1 hour"),
        (3661, "1 hour 1 minute"),
        (86_400, "1 day"),
        (90_000, "1 day 1 hour"),
        (-3, "0 seconds"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0, ""),
        (1, " The server asks to wait 1 second."),
        (2, " The server asks to wait 2 seconds."),
        (600, " The server asks to wait 10 minutes, until 2026-11-27 12:11 UTC."),
        (43_200, " The server asks to wait 12 hours, until 2026-11-28 00:01 UTC."),
    ],
)
def test_wait_has_duration_and_end(seconds: float | None, words: str) -> None:
    assert wait_text(seconds, NOON) == words


def test_wait_beyond_the_calendar() -> None:
    assert wait_text(1e15, NOON).startswith(" The server asks to wait 11574074074 days")
    assert not_before(1e15, NOON) == " later"
    assert not_before(43_200, None) == " later"


def test_daily_limit_message_has_tomorrow_and_the_time() -> None:
    error = RateLimited(43_200, now=NOON, code="throttled")

    assert str(error) == (
        "Klaviyo's rate limit is used up. The server asks to wait 12 hours, until 2026-11-28 00:01 UTC. "
        "[429 throttled] What to do: A "
        "daily limit of the account seems to be used up; it is shared by all its integrations. Run the sync again tomorrow, after 2026-11-28 00:01 "
        "UTC. What was read so far is kept."
    )
    assert "Run the sync again after 2026-11-27 14:01 UTC." in str(RateLimited(7_200, now=NOON))
    assert "do not try again tomorrow, after 2026-11-28 00:01 UTC" in str(EdgeRateLimited(43_200, now=NOON))


def test_server_error_message_has_retry_after() -> None:
    assert str(ServerFault("Klaviyo could not process the request.", retry_after=1, now=NOON)).startswith(
        "Klaviyo could not process the request. The server asks to wait 1 second."
    )
