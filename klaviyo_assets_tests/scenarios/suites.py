"""Which lives are lived: the same mixture in the ordinary suite, hundreds, and by the command, thousands."""

from collections.abc import Iterator
from dataclasses import dataclass

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets_tests.scenarios.search import Failure, live_many
from klaviyo_assets_tests.scenarios.stats import Tally

_ORDINARY, _LONG = (2, 5), (12, 25)


@dataclass(frozen=True)
class Course:
    """Lives of one kind.

    Attributes:
        name: Resource type.
        lives: Lives in the ordinary suite.
        syncs: Syncs of a life, at least and at most.
        repaired: True if they end with an audit and a repair.
    """

    name: str
    lives: int
    syncs: tuple[int, int] = _ORDINARY
    repaired: bool = False

    def __str__(self) -> str:
        return self.name + (", repaired" if self.repaired else "") + (", long" if self.syncs == _LONG else "")

    def live(self, count: int, *, at: int, tally: Tally) -> Failure | None:
        """Live some lives of this kind; see :func:`~klaviyo_assets_tests.scenarios.search.live_many`."""
        return live_many(count, at=at, tally=tally, names=(self.name,), syncs=self.syncs, repaired=self.repaired)


_COURSES = (
    Course("events", 25),
    Course("events", 25),
    Course("profiles", 22),
    Course("profiles", 22),
    Course("reviews", 20),
    Course("events", 14, repaired=True),
    Course("events", 3, syncs=_LONG),
    Course("profiles", 3, syncs=_LONG),
    Course("reviews", 2, syncs=_LONG),
)
"""Of the types that are hardest to keep right."""

COURSES = (
    *_COURSES,
    *(Course(name, 15) for name, entry in CATALOG.items() if entry.parent is None and name not in {course.name for course in _COURSES}),
)
"""The mixture: each type of the catalog, most of them of those that are hard to keep right."""


def shared_out(lives: int) -> Iterator[tuple[Course, int]]:
    """Share lives out among the courses in the proportion of the ordinary suite, one each at least."""
    total = sum(course.lives for course in COURSES)
    done = before = 0
    for course in COURSES:
        done += course.lives
        share = max(1, lives * done // total - before)
        before += share
        yield course, share
