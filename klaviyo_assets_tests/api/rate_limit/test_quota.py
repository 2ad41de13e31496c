"""What is left of the server's minute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.api.rate_limit.quota import QuotaWindow


def seconds_full(remaining: int, under_way: int, others: float = 0.0) -> float:
    window = QuotaWindow()
    window.note(remaining=remaining, reset=7, now=100.0)
    return window.seconds_full(under_way=under_way, others=others, now=101.0)


def test_it_is_full_while_all_that_is_left_is_under_way() -> None:
    assert seconds_full(remaining=5, under_way=4) == 0
    assert seconds_full(remaining=5, under_way=5) == pytest.approx(6.1)
    assert seconds_full(remaining=0, under_way=0) == pytest.approx(6.1)


def test_as_many_as_others_may_send_meanwhile_are_kept_free() -> None:
    assert seconds_full(remaining=9, under_way=4, others=1.0) == 0
    assert seconds_full(remaining=8, under_way=4, others=1.0) == pytest.approx(6.1)


def test_it_is_not_full_before_anything_is_known_and_after_its_end() -> None:
    assert QuotaWindow().seconds_full(under_way=50, others=0.0, now=0.0) == 0
    window = QuotaWindow()
    window.note(remaining=0, reset=1, now=10.0)
    assert window.seconds_full(under_way=3, others=0.0, now=11.2) == 0


def test_an_answer_that_was_overtaken_opens_nothing() -> None:
    window = QuotaWindow()
    window.note(remaining=2, reset=1, now=10.0)
    window.note(remaining=5, reset=1, now=10.1)
    assert window.seconds_full(under_way=3, others=0.0, now=10.2) > 0


def test_a_reset_beyond_a_minute_is_a_minute() -> None:
    window = QuotaWindow()
    window.note(remaining=0, reset=10**9, now=0.0)
    assert window.seconds_full(under_way=0, others=0.0, now=0.0) == pytest.approx(60.1)


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0.0, 0.3)), min_size=1, max_size=60), st.integers(13, 40))
def test_no_more_is_sent_than_the_server_has_left(answers: list[tuple[int, float]], limit: int) -> None:
    """The server counts when a request arrives; answers come back in any order. What it would refuse is never sent within one window."""
    window, sent, counted, now = QuotaWindow(), 0, 0, 0.0
    under_way: list[int] = []  # what the server will say, of those that have arrived
    for pick, pause in answers:
        now += pause / 10  # the window does not end meanwhile
        while len(under_way) < 12 and window.seconds_full(under_way=len(under_way), others=0.0, now=now) == 0:
            sent, counted = sent + 1, counted + 1
            if window._left is not None:
                assert counted <= limit
            under_way.append(limit - counted)
        if not under_way:
            break
        window.note(remaining=under_way.pop(pick % len(under_way)), reset=60, now=now)
