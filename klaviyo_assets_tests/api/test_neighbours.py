"""What others leave us of the account's limit, told from the server's headers alone."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.api.neighbours import Neighbours

LIMIT = 3500


@dataclass
class Minute:
    """Klaviyo's window of a minute, aligned to the clock."""

    number: int = -1
    used: float = 0.0

    def use(self, now: float, requests: float) -> float:
        """Count requests; return how many of them are refused."""
        if int(now // 60) != self.number:
            self.number, self.used = int(now // 60), 0.0
        refused = max(0.0, self.used + requests - LIMIT)
        self.used += requests - refused
        return refused

    def headers(self, now: float) -> tuple[int, int]:
        return round(LIMIT - self.used), max(1, -int(-((self.number + 1) * 60 - now) // 1))


@dataclass
class Life:
    """Some syncs that pace themselves by what they see, and others who do not."""

    syncs: list[Neighbours]
    window: Minute = field(default_factory=Minute)
    now: float = 0.0
    shares: list[list[float]] = field(default_factory=list)
    others_refused: float = 0.0

    def go_on(self, seconds: float, others: float) -> None:
        """Let time pass, a tenth of a second at a time; ``others`` is their share of the limit."""
        end = self.now + seconds
        due = [0.0] * len(self.syncs)
        while self.now < end:
            self.now += 0.1
            self.others_refused += self.window.use(self.now, others * LIMIT / 600)
            for number, one in enumerate(self.syncs):
                due[number] += one.ours * LIMIT / 600
                while due[number] >= 1:
                    due[number] -= 1
                    self.window.use(self.now, 1)
                    remaining, reset = self.window.headers(self.now)
                    one.note(limit=LIMIT, remaining=remaining, reset=reset, now=self.now)
            self.shares.append([one.ours for one in self.syncs])


def test_alone_all_of_the_share_is_used() -> None:
    sync = Neighbours(share=1.0)

    Life([sync]).go_on(300, others=0)

    assert (sync.ours, sync.others) == (1.0, 0.0)


@pytest.mark.parametrize("share", [0.9, 1.0])
@pytest.mark.parametrize("others", [0.2, 0.5, 0.8])
def test_others_are_left_what_they_use(share: float, others: float) -> None:
    sync = Neighbours(share)

    Life([sync]).go_on(300, others)

    assert sync.others == pytest.approx(others, abs=0.03)
    assert sync.ours == pytest.approx(min(share, 1 - others - 0.02), abs=0.03)


@pytest.mark.parametrize("share", [0.9, 1.0])
@pytest.mark.parametrize("others", [0.2, 0.5])
@pytest.mark.parametrize("begin", [0, 5, 20, 35, 50])
def test_others_are_hardly_refused_anything_from_the_first_request_on(share: float, others: float, begin: float) -> None:
    """Wherever in Klaviyo's minute a sync begins, and though it takes a while to know what others use."""
    life = Life([])
    life.go_on(60 + begin, others)
    life.syncs.append(Neighbours(share))

    life.go_on(120, others)

    assert life.others_refused <= 0.01 * 2 * others * LIMIT


@pytest.mark.parametrize("share", [0.9, 1.0])
def test_what_was_used_before_by_ourselves_slows_a_sync_down_for_a_quarter_of_a_minute(share: float) -> None:
    life = Life([], now=30)
    life.window.use(life.now, 0.8 * LIMIT / 2)
    life.syncs.append(Neighbours(share))

    life.go_on(16, others=0)

    assert min(shares[0] for shares in life.shares) >= share / 2
    assert life.shares[-1] == [share]


def test_what_fits_beside_our_share_changes_nothing() -> None:
    sync = Neighbours(share=0.5)

    Life([sync]).go_on(300, others=0.4)

    assert sync.ours == pytest.approx(0.5)


def test_when_the_others_stop_all_of_the_share_is_used_again() -> None:
    sync = Neighbours(share=0.9)
    life = Life([sync])
    life.go_on(200, others=0.6)
    assert sync.ours < 0.45

    life.go_on(240, others=0)

    assert sync.ours == pytest.approx(0.9, abs=0.02)


def test_a_little_use_by_others_is_not_told_from_chance() -> None:
    sync = Neighbours(share=1.0)

    Life([sync]).go_on(300, others=0.03)

    assert sync.ours == 1.0


def test_a_sync_goes_on_however_busy_the_others_are() -> None:
    sync = Neighbours(share=0.9)

    Life([sync]).go_on(600, others=1.0)

    assert sync.ours >= 0.09


def test_two_syncs_that_see_each_other_share_the_limit_without_swinging() -> None:
    life = Life([Neighbours(share=0.9), Neighbours(share=0.9)])

    life.go_on(600, others=0)

    late = life.shares[-1800:]
    assert all(0.8 <= sum(shares) <= 1.1 for shares in late)
    assert max(shares[0] for shares in late) - min(shares[0] for shares in late) < 0.15


@given(
    st.lists(
        st.tuples(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.floats(0, 1e6)),
        max_size=60,
    )
)
def test_wild_headers_do_no_harm(answers: list[tuple[int, int, int, float]]) -> None:
    sync = Neighbours(share=0.9)
    now = 0.0
    for limit, remaining, reset, passed in answers:
        now += passed
        sync.note(limit=limit, remaining=remaining, reset=reset, now=now)
        assert 0.09 <= sync.ours <= 0.9
