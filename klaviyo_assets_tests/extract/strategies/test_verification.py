"""How often the members of a list are compared with Klaviyo's count: by the list's size, and by how many have left it."""

from datetime import timedelta

import pytest

from klaviyo_assets.extract.strategies.verification import interval
from klaviyo_assets.state.parent_facts import ParentFacts

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("facts", "since_complete_read", "expected"),
    [
        (ParentFacts(rows=1_000), DAY, DAY),
        (ParentFacts(rows=1_000), 7 * DAY, 7 * DAY),
        (ParentFacts(rows=10_000, removed=100), DAY, 7 * DAY),
        (ParentFacts(rows=10_000, removed=200), DAY, 3.5 * DAY),
        (ParentFacts(rows=10_000, removed=700), DAY, DAY),
        (ParentFacts(rows=10_000, removed=9_000), DAY, 0.5 * DAY),
        (ParentFacts(rows=1_000_000, removed=900_000), DAY, DAY),
        (ParentFacts(rows=1_000_000, removed=10), DAY, 7 * DAY),
        (ParentFacts(rows=10_000, removed=9_000, is_frozen=True), DAY, 7 * DAY),
    ],
    ids=["new", "nobody left in a week", "1 % a week", "2 % a week", "7 % a week", "most", "most of a large list", "few of a large list", "frozen"],
)
def test_a_parent_is_due_when_a_hundredth_has_probably_left(facts: ParentFacts, since_complete_read: timedelta, expected: timedelta) -> None:
    assert interval(facts, since_complete_read) == expected
