"""The rest of the server's minute window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.api.rate_limit.quota import QuotaWindow


def seconds_full(remaining: int, in_flight: int, others: float = 0.0) -> float:
    window = QuotaWindow()
    window.note(remaining=remaining, reset=7, now=100.0)
    return window.seconds_full(in_flight=in_flight, others=others, now=101.0)


def test_window_is_full_while_requests_in_flight_may_use_all_that_is_left() -> None:
    assert seconds_full(remaining=5, in_flight=4) == 0
    assert seconds_full(remaining=5, in_flight=5) == pytest.approx(6.1)
    assert seconds_full(remaining=0, in_flight=0) == pytest.approx(6.1)


def test_requests_of_others_are_kept_free() -> None:
    assert seconds_full(remaining=9, in_flight=4, others=1.0) == 0
    assert seconds_full(remaining=8, in_flight=4, others=1.0) == pytest.approx(6.1)


def test_window_is_not_full_before_the_first_response_and_after_its_end() -> None:
    assert QuotaWindow().seconds_full(in_flight=50, others=0.0, now=0.0) == 0
    window = QuotaWindow()
    window.note(remaining=0, reset=1, now=10.0)
    assert window.seconds_full(in_flight=3, others=0.0, now=11.2) == 0


def test_response_out_of_order_does_not_raise_the_count() -> None:
    window = QuotaWindow()
    window.note(remaining=2, reset=1, now=10.0)
    window.note(remaining=5, reset=1, now=10.1)
    assert window.seconds_full(in_flight=3, others=0.0, now=10.2) > 0


def test_longer_reset_than_a_minute_counts_as_a_minute() -> None:
    window = QuotaWindow()
    window.note(remaining=0, reset=10**9, now=0.0)
    assert window.seconds_full(in_flight=0, others=0.0, now=0.0) == pytest.approx(60.1)


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0.0, 0.3)), min_size=1, max_size=60), st.integers(13, 40))
def test_requests_never_exceed_what_the_server_has_left(responses: list[tuple[int, float]], limit: int) -> None:
    """The server counts requests when they arrive; responses arrive in any order. No request that it would reject is sent within one window."""
    window, sent, counted, now = QuotaWindow(), 0, 0, 0.0
    in_flight: list[int] = []  # counts that the server will report for requests that have arrived
    for pick, pause in responses:
        now += pause / 10  # stays within the window
        while len(in_flight) < 12 and window.seconds_full(in_flight=len(in_flight), others=0.0, now=now) == 0:
            sent, counted = sent + 1, counted + 1
            if window._left is not None:
                assert counted <= limit
            in_flight.append(limit - counted)
        if not in_flight:
            break
        window.note(remaining=in_flight.pop(pick % len(in_flight)), reset=60, now=now)
