"""Faults that are injected into the library to show that the scenarios catch them: each replaces a few words of a function's source."""

import inspect
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from klaviyo_assets.catalog import flow_definitions
from klaviyo_assets.decode.included_resources import Attacher
from klaviyo_assets.decode.report_decoder import ReportDecoder
from klaviyo_assets.extract import slice_query
from klaviyo_assets.extract.included_reader import IncludedReader
from klaviyo_assets.extract.metric_selection import MetricSelection
from klaviyo_assets.extract.slice_reader import SliceReader
from klaviyo_assets.extract.strategies import grouped_parents, slicing
from klaviyo_assets.extract.strategies.incremental import IncrementalStrategy
from klaviyo_assets.extract.strategies.parent_windows import ParentWindowsStrategy
from klaviyo_assets.extract.strategies.per_parent import PerParentStrategy
from klaviyo_assets.extract.strategies.report import ReportStrategy
from klaviyo_assets.load.children import child_rows
from klaviyo_assets.load.deletions.deletions import Deletions
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.rows import upsert
from klaviyo_assets.load.rows.rebuild import Rebuild
from klaviyo_assets.load.rows.upsert import Upsert
from klaviyo_assets.staging.manifest import Manifest
from klaviyo_assets.state import coverage
from klaviyo_assets.sync import children, completion, metric_resolution, pipeline
from klaviyo_assets.sync.sync_runner import SyncRunner


@dataclass(frozen=True)
class Edit:
    """A replacement in the source of a function.

    Attributes:
        owner: Class or module that defines it.
        function: Its name.
        old: Text that occurs at least once.
        new: Its replacement.
    """

    owner: Any
    function: str
    old: str
    new: str


@dataclass(frozen=True)
class Fault:
    """A fault to inject.

    Attributes:
        name: Description for the report.
        edits: The source edits.
        names: Resource types that can reveal it.
        with_repair: True if only an audit and a repair reveal it; every scenario then ends with them.
        with_selection: True if only a change of the selected metrics reveals it; the syncs then select different ones.
        starts_interrupted: True if only an interrupted first sync reveals it; every scenario then starts with one.
        max_scenarios: Number of scenarios within which it must be caught.
    """

    name: str
    edits: tuple[Edit, ...]
    names: tuple[str, ...]
    starts_interrupted: bool = False
    with_repair: bool = False
    with_selection: bool = False
    max_scenarios: int = 400


FAULTS: Sequence[Fault] = (
    Fault(
        "no overlap where the API has only strict operators",
        (Edit(slice_query, "_bounds", "start - _SECOND", "start"),),
        ("profiles",),
    ),
    Fault(
        "coverage up to the newest date even if it lies in the future",
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
        "ties at the edge of an interrupted page chain skipped",
        (Edit(SliceReader, "_advance", "self.read_up_to = max(end, self.read_up_to or end) if", "self.read_up_to = end + _SECOND if"),),
        ("events",),
        starts_interrupted=True,
    ),
    Fault(
        "coverage committed before the rows",
        (
            Edit(
                Loader,
                "load",
                "with self._transactions.open(row) as transaction:\n",
                "with self._transactions.open(row) as transaction:\n"
                "        transaction.extend_coverage([] if rebuilt else batch.covered)\n"
                "    with self._transactions.open(row) as transaction:\n",
            ),
        ),
        ("events", "profiles"),
    ),
    Fault(
        "older of two versions in a load kept",
        (
            Edit(Upsert, "_superseded", "DESC NULLS LAST", "ASC NULLS LAST"),
            Edit(Upsert, "_superseded", "staged_file DESC, file_row_number DESC", "staged_file, file_row_number"),
        ),
        ("profiles",),
    ),
    Fault(
        "newer version does not replace a row",
        (Edit(Upsert, "_may_replace", "coalesce({new} > {old}, false)", "coalesce({new} < {old}, false)"),),
        ("profiles", "lists"),
    ),
    Fault(
        "lookback ages ignored",
        (Edit(coverage, "_up_to_date_parts", "if row.final or not lookback_ages:", "if True:"),),
        ("events",),
    ),
    Fault(
        "all lookback ages but the first ignored",
        (
            Edit(
                coverage,
                "_up_to_date_parts",
                "zip(lookback_ages, [*lookback_ages[1:], None], strict=True)",
                "zip(lookback_ages[:1], [None], strict=True)",
            ),
        ),
        ("events",),
    ),
    Fault(
        "window ends treated as inclusive",
        (Edit(coverage, "minus", "TimeWindow(hole.end, window.end)", "TimeWindow(hole.end + timedelta(seconds=1), window.end)"),),
        ("events", "profiles"),
    ),
    Fault(
        "newest slice read only up to its coverage",
        (Edit(slicing, "cut", "end=None if piece.end == open_end else piece.end", "end=piece.end"),),
        ("events",),
    ),
    Fault(
        "included resources that a page lacks not fetched",
        (Edit(pipeline, "fetch_missing_resources", "[*state.incomplete, *earlier.ids]", "earlier.ids"),),
        ("events",),
    ),
    Fault(
        "attributions taken from another event of the page",
        (Edit(Attacher, "attach", "resources.get((_type_of(reference), reference.id))", "next(iter(resources.values()), None)"),),
        ("events",),
    ),
    Fault(
        "days that the audit found not reread",
        (Edit(SyncRunner, "_rereads", "return rereads", "return []"),),
        ("events",),
        with_repair=True,
    ),
    Fault(
        "events missing from a repair not marked as deleted",
        (Edit(Deletions, "mark_missing", "{column} >= ? AND", "false AND {column} >= ? AND"),),
        ("events",),
        with_repair=True,
    ),
    Fault(
        "consent changes ignored",
        (Edit(IncrementalStrategy, "_changes", "if since is None:", "if True:"),),
        ("profiles",),
    ),
    Fault(
        "records missing from a full sync not marked as deleted",
        (Edit(Rebuild, "carry_over", "coalesce({DELETED_AT}, {instant_literal(at)})", "{DELETED_AT}"),),
        ("events", "profiles", "reviews"),
    ),
    Fault(
        "truncated included resources not fetched",
        (Edit(IncludedReader, "_records_of", "for id_ in found.lacking if", "for id_ in [] if"),),
        ("campaign_messages", "flow_actions", "flow_messages"),
    ),
    Fault(
        "actions of a flow numbered in the order of the response",
        (Edit(flow_definitions, "_in_order", "return [*reversed(left), *loops]", "return [*actions]"),),
        ("flow_actions", "flow_messages"),
    ),
    Fault(
        "changed tags of a record not stored",
        (Edit(upsert, "_contents", "if name not in volatile", 'if name not in {*volatile, "tag_ids"}'),),
        ("campaigns", "flows", "lists", "segments"),
    ),
    Fault(
        "other volatile values counted as a change",
        (Edit(upsert, "_contents", " if name not in volatile", ""),),
        ("universal_content", "mapped_metrics"),
    ),
    Fault(
        "volatile values of a changed row kept from before",
        (
            Edit(Upsert, "run", "own_columns(self.entry)) if", '[*(one.name for one in self.entry.columns if not one.volatile), "_extra"]) if'),
            Edit(Upsert, "_insert", "SYNCED_AT))", "SYNCED_AT) if quoted(name) not in user_columns)"),
        ),
        ("universal_content", "mapped_metrics"),
    ),
    Fault(
        "records that a complete read lacks not marked as deleted",
        (Edit(completion, "_compare_all", "gone = [(id_,) for (id_,) in missing if id_ not in still_there]", "gone = []"),),
        ("campaign_messages", "flow_actions", "flow_messages", "tags", "catalog_items"),
    ),
    Fault(
        "rows of metrics that are not selected marked as deleted",
        (
            Edit(
                metric_resolution,
                "_condition",
                "if selection.included is not None:",
                "if True:\n        return 'true'\n    if selection.included is not None:",
            ),
        ),
        ("events",),
        with_selection=True,
    ),
    Fault(
        "history of a metric that is selected again not read",
        (Edit(MetricSelection, "parts", "again = left_out(covered) - self.excluded & self.listed", "again = ()"),),
        ("events",),
        with_selection=True,
    ),
    Fault(
        "coverage of one metric taken for that of all",
        (Edit(MetricSelection, "parts", " if not row.subset.startswith(_ONE)", ""),),
        ("events",),
        with_selection=True,
    ),
    Fault(
        "events of excluded metrics stored",
        (Edit(MetricSelection, "keep", "if self.selects_all:", "if self.included is None:"),),
        ("events",),
        with_selection=True,
    ),
    Fault(
        "versions of a changed form not read",
        (Edit(PerParentStrategy, "_is_due", "return changed_with is not None and", "return False and"),),
        ("form_versions",),
    ),
    Fault(
        "coupon codes that are assigned not read again",
        (
            Edit(
                grouped_parents, "live_states", "if state not in groups.final", 'if state not in (*groups.final, "UNASSIGNED", "ASSIGNED_TO_PROFILE")'
            ),
        ),
        ("coupon_codes",),
    ),
    Fault(
        "used coupon codes never read again",
        (Edit(grouped_parents, "due_parents", "or context.now - read_at[id_] >= entry.required_groups.complete_after", ""),),
        ("coupon_codes",),
    ),
    Fault(
        "rows of a parent doubled when it is read again",
        (Edit(Upsert, "run", "self._find_known(staged)", "self._find_known(staged) if len(self.entry.primary_key) == 1 else 0"),),
        ("list_members",),
    ),
    Fault(
        "children that left a parent not marked as deleted",
        (Edit(Deletions, "mark_missing_of_parents", "self._are_missing(files)", '"false"'),),
        ("list_members", "segment_members"),
    ),
    Fault(
        "count check off by one",
        (Edit(child_rows, "_is_equal", "before <= counted <= before + later", "before - 1 <= counted <= before + later"),),
        ("list_members", "segment_members"),
    ),
    Fault(
        "children of a deleted parent not marked as deleted",
        (Edit(Deletions, "mark_of_parents", 'f"{DELETED_AT} IS NULL"', '"false"'),),
        ("list_members",),
    ),
    Fault(
        "children of other parents marked as deleted together with those of a deleted parent",
        (Edit(children, "_live", "{*planned.parents} - gone", "set() if gone else {*planned.parents}"),),
        ("list_members",),
    ),
    Fault(
        "parents that an earlier sync has read skipped",
        (
            Edit(
                ParentWindowsStrategy,
                "plan",
                "first_read_first(context.parents, windows)",
                "first_read_first([id_ for id_ in context.parents if windows[id_].read_at is None], windows)",
            ),
        ),
        ("list_members",),
    ),
    Fault(
        "parent covered although its children were only read in part",
        (
            Edit(Manifest, "coverage_of", "state.covers_to if state.finished else", "state.covers_to if state.finished or state.parent else"),
            Edit(Manifest, "coverage_of", "(not state.finished and", "(not state.finished and not state.parent and"),
        ),
        ("list_members",),
        starts_interrupted=True,
    ),
    Fault(
        "a changing window of a report not read again",
        (
            Edit(ReportStrategy, "_is_due", "if facts.day_of(row.read_at) == today]", "]"),
            Edit(
                ReportStrategy,
                "_is_due",
                "return not rows or bool(_uncovered(start, min(end, facts.start_of(today)), rows)), None",
                "return not rows, None",
            ),
        ),
        ("campaign_report",),
    ),
    Fault(
        "last year of a report not read daily",
        (Edit(ReportStrategy, "_windows", "changes=year >= today.year - 1", "changes=year >= today.year"),),
        ("campaign_report",),
    ),
    Fault(
        "rows that a report no longer has not marked as deleted",
        (Edit(Deletions, "mark_missing_of_report", 'f"{own} AND', 'f"false AND {own} AND'),),
        ("campaign_report",),
    ),
    Fault(
        "observations of a day replaced by those of the next",
        (Edit(ReportStrategy, "_windows", "Window(today, today, changes=True)", "Window(today.replace(day=1), today.replace(day=1), changes=True)"),),
        ("campaign_report_history",),
    ),
    Fault(
        "days of a report shifted by one",
        (Edit(ReportDecoder, "_days", 'date.fromisoformat(text[: len("2026-01-31")])', "(date.fromisoformat(text[:10]) - date.resolution)"),),
        ("segment_report_daily",),
    ),
)
"""The faults, including those known from other extractors."""


@contextmanager
def injected(fault: Fault) -> Iterator[None]:
    """Run a block with a fault in the library's code."""
    with ExitStack() as stack:
        for edit in fault.edits:
            stack.enter_context(_edited(edit))
        yield


@contextmanager
def _edited(edit: Edit) -> Iterator[None]:
    original = getattr(edit.owner, edit.function)
    # A function that is already edited carries its source as an attribute.
    source = vars(original).get("edited_source") or textwrap.dedent(inspect.getsource(original))
    if edit.old not in source:
        raise LookupError(f"{edit.function} no longer contains {edit.old!r}")
    changed = source.replace(edit.old, edit.new)
    namespace = dict(vars(inspect.getmodule(original) or edit.owner))
    exec(compile(changed, f"<{edit.function} with a fault>", "exec"), namespace)
    function = namespace[edit.function]
    function.edited_source = changed
    function.__module__ = original.__module__
    with mock.patch.object(edit.owner, edit.function, function):
        yield
