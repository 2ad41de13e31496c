"""Errors planted into the library, to show that the machine catches each: a word or two of a function are replaced while a block runs."""

import inspect
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from klaviyo_assets.extract import slice_query
from klaviyo_assets.extract.slice_reader import SliceReader
from klaviyo_assets.extract.strategies import slicing
from klaviyo_assets.extract.strategies.incremental import IncrementalStrategy
from klaviyo_assets.load.deletions import Deletions
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.rebuild import Rebuild
from klaviyo_assets.load.upsert import Upsert
from klaviyo_assets.staging.manifest import Manifest
from klaviyo_assets.state import coverage
from klaviyo_assets.sync.runner import SyncRunner


@dataclass(frozen=True)
class Edit:
    """A function and what is replaced in its source.

    Attributes:
        owner: Class or module that has it.
        function: Its name.
        old: Text that stands there, at least once.
        new: What stands there instead.
    """

    owner: Any
    function: str
    old: str
    new: str


@dataclass(frozen=True)
class Fault:
    """A planted error.

    Attributes:
        name: What is wrong, for the table.
        edits: How.
        names: Resource types that can show it.
        repaired: True if it shows only after an audit and a repair: then every life ends with them.
        begins_broken: True if it shows only after a first sync that was broken off: then every life begins with one.
        most_lives: Lives within which it must be caught.
    """

    name: str
    edits: tuple[Edit, ...]
    names: tuple[str, ...]
    begins_broken: bool = False
    repaired: bool = False
    most_lives: int = 400


FAULTS: Sequence[Fault] = (
    Fault(
        "no overlap where the API has only strict operators",
        (Edit(slice_query, "_bounds", "start - _SECOND", "start"),),
        ("profiles",),
    ),
    Fault(
        "coverage as far as the newest date, be it in the future",
        (Edit(Manifest, "coverage_of", "end = state.covers_to if", "end = max(state.covers_to, state.read_up_to or state.covers_to) if"),),
        ("events",),
    ),
    Fault(
        "ties dropped at the edge of a page",
        (
            Edit(
                SliceReader,
                "accept",
                "response.value.stamped(response.requested_at)\n",
                "response.value.stamped(response.requested_at)\n"
                "    if self._edge is not None and not slice_.descending:\n"
                "        page = page.within(slice_.field, self._edge + timedelta(microseconds=1), None)\n",
            ),
        ),
        ("events", "profiles"),
    ),
    Fault(
        "ties at the edge of an interrupted chain taken as read",
        (Edit(SliceReader, "_advance", "self.read_up_to = max(end, self.read_up_to or end) if", "self.read_up_to = end + _SECOND if"),),
        ("events",),
        begins_broken=True,
    ),
    Fault(
        "coverage committed before the rows",
        (
            Edit(
                Loader,
                "load",
                "with self._undone_on_error(), self.transaction() as connection:\n",
                "with self.transaction() as connection:\n"
                "        self._widen(connection, [] if rebuilt else batch.covered, row.account_id)\n"
                "    with self._undone_on_error(), self.transaction() as connection:\n",
            ),
        ),
        ("events", "profiles"),
    ),
    Fault(
        "of two versions in a load the older one kept",
        (
            Edit(Upsert, "_staged", "DESC NULLS LAST", "ASC NULLS LAST"),
            Edit(Upsert, "_staged", '"staged_file DESC", "file_row_number DESC"', '"staged_file", "file_row_number"'),
        ),
        ("profiles",),
    ),
    Fault(
        "a row of the table kept against a newer version",
        (Edit(Upsert, "_may_replace", "coalesce({new} > {old}, false)", "coalesce({new} < {old}, false)"),),
        ("profiles", "lists"),
    ),
    Fault(
        "lookback ages not looked at",
        (Edit(coverage, "_good_parts", "if row.final or not lookback_ages:", "if True:"),),
        ("events",),
    ),
    Fault(
        "only the first lookback age looked at",
        (
            Edit(
                coverage, "_good_parts", "zip(lookback_ages, [*lookback_ages[1:], None], strict=True)", "zip(lookback_ages[:1], [None], strict=True)"
            ),
        ),
        ("events",),
    ),
    Fault(
        "a window that ends with its last second, not before it",
        (Edit(coverage, "_minus", "TimeWindow(hole.end, window.end)", "TimeWindow(hole.end + timedelta(seconds=1), window.end)"),),
        ("events", "profiles"),
    ),
    Fault(
        "the newest slice read no further than it covers",
        (Edit(slicing, "cut", "end=None if piece.end == open_end else piece.end", "end=piece.end"),),
        ("events",),
    ),
    Fault(
        "what the audit found not read again",
        (Edit(SyncRunner, "_rereads", "return rereads", "return []"),),
        ("events",),
        repaired=True,
    ),
    Fault(
        "what a repair did not bring left unmarked",
        (Edit(Deletions, "mark_missing", "{column} >= ? AND", "false AND {column} >= ? AND"),),
        ("events",),
        repaired=True,
    ),
    Fault(
        "changes of consent not looked for",
        (Edit(IncrementalStrategy, "_secondary", "if since is None:", "if True:"),),
        ("profiles",),
    ),
    Fault(
        "what a full read did not bring left unmarked",
        (Edit(Rebuild, "carry_over", "coalesce({DELETED_AT}, {instant(at)})", "{DELETED_AT}"),),
        ("events", "profiles", "reviews"),
    ),
)
"""The faults, the ones that every other extractor has had among them."""


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """Run a block with a fault in the library."""
    with ExitStack() as stack:
        for edit in fault.edits:
            stack.enter_context(_edited(edit))
        yield


@contextmanager
def _edited(edit: Edit) -> Iterator[None]:
    original = getattr(edit.owner, edit.function)
    # The text of a function that is edited already stands beside it.
    source = vars(original).get("edited_source") or textwrap.dedent(inspect.getsource(original))
    if edit.old not in source:
        raise LookupError(f"{edit.function} does not hold {edit.old!r} any more")
    changed = source.replace(edit.old, edit.new)
    namespace = dict(vars(inspect.getmodule(original) or edit.owner))
    exec(compile(changed, f"<{edit.function} with a fault>", "exec"), namespace)
    function = namespace[edit.function]
    function.edited_source = changed
    function.__module__ = original.__module__
    with mock.patch.object(edit.owner, edit.function, function):
        yield
