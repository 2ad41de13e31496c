"""Properties of every plan."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from klaviyo_assets.catalog import CATALOG, EVENTS, PROFILES, REVIEWS
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.plan import plan
from klaviyo_assets.extract.slice_query import slice_parameters
from klaviyo_assets.extract.strategies import strategy_for
from klaviyo_assets.extract.strategies.strategy import LAG, PlanContext, Strategy
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions, range_field
from klaviyo_assets.state.coverage import BEGINNING, CoverageRow
from klaviyo_assets_tests.each import each
from klaviyo_assets_tests.extract.plans import BY_TIME, DAY, HOUR, NOW, TOP, at, planned, range_request, row, windows

SECONDS = st.integers(-400 * 86_400, 5 * 86_400)
MOMENTS = st.builds(lambda seconds, micro: TOP + timedelta(seconds=seconds, microseconds=micro), SECONDS, st.integers(0, 999_999))


@st.composite
def coverages(draw: st.DrawFn, name: str) -> list[CoverageRow]:
    field = range_field(CATALOG[name])
    follows = {"events": "datetime"}.get(name, "updated")
    rows = []
    for _ in range(draw(st.integers(0, 4))):
        start, end = sorted((draw(MOMENTS), draw(MOMENTS)))
        read_at = min(end + LAG + timedelta(seconds=draw(st.integers(0, 30 * 86_400))), NOW)
        if start < min(end, read_at - LAG):
            rows.append(
                row(draw(st.sampled_from([str(field), follows])), start, min(end, read_at - LAG), read_at, draw(st.sampled_from(["same", "before"])))
            )
    return rows


@each(CATALOG.values())
def test_every_type_has_a_strategy(entry: ResourceType) -> None:
    assert isinstance(strategy_for(entry), Strategy)


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from(BY_TIME))
def test_slices_are_disjoint_newest_first_and_not_in_the_future(data: st.DataObject, name: str) -> None:
    covered = data.draw(coverages(name))
    start, end = sorted((data.draw(MOMENTS), data.draw(MOMENTS)))
    request = data.draw(st.sampled_from([SyncOptions(), SyncOptions(SyncMode.full), SyncOptions(start_date=start), range_request(name, start, end)]))
    assume(request.window is None or request.window.start < request.window.end)
    oldest = data.draw(st.none() | MOMENTS)

    slices = planned(name, request, covered, oldest=oldest).slices
    whole = planned(name, request, covered).slices

    for part in slices:
        assert part.start is not None
        assert part.covers_to is not None
        assert part.covers_to <= TOP
        assert part.end in (None, part.covers_to)
        assert (part.end is None) == (part.covers_to == TOP and request.mode is not SyncMode.range)
        for bound in re.findall(r"-\w+\(\w+,([0-9TZ:.-]+)\)", slice_parameters(CATALOG[name], part).get("filter", "")):
            assert datetime.fromisoformat(bound) <= TOP + timedelta(seconds=1)
    for field in {part.field for part in slices}:
        mine, uncut = windows(slices, field), windows(whole, field)
        assert all(later[0] >= earlier[1] for later, earlier in pairwise(mine))
        assert joined(mine) == joined(uncut)
        assert len({start for start, _ in mine}) == len(mine)
    of_changes = [part.field == "updated" for part in slices if name != "events"]
    assert of_changes == sorted(of_changes, reverse=True) or not any(part.descending for part in slices)


def joined(descending: Sequence[tuple[datetime | None, datetime | None]]) -> list[tuple[datetime | None, datetime | None]]:
    """Merge windows that touch."""
    result: list[tuple[datetime | None, datetime | None]] = []
    for start, end in descending:
        if result and result[-1][0] == end:
            result[-1] = (start, result[-1][1])
        else:
            result.append((start, end))
    return result


def test_borders_between_slices_are_whole_seconds() -> None:
    """An endpoint may round bounds to whole seconds."""
    slices = planned("profiles", oldest=at(1) - 400 * DAY + timedelta(microseconds=123_457)).slices

    assert [part.start.microsecond for part in slices if part.start is not None] == [0] * 6


def test_slice_names_describe_what_they_read() -> None:
    (first,) = planned("events").slices
    (subset, *_) = planned("campaigns").slices
    (between,) = planned("profiles", range_request("profiles", at(1), at(2))).slices

    assert first.name == "datetime from … to …"
    assert subset.name == "email/live"
    assert between.name == "created from 2026-03-01 00:00:00 to 2026-03-02 00:00:00"
    assert (range_field(EVENTS), range_field(PROFILES), range_field(REVIEWS)) == ("datetime", "created", "created")


def test_planning_many_parents_does_not_compare_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    entry, compared, equal = CATALOG["list_members"], 0, CoverageRow.__eq__
    parents = [f"L{number:04d}" for number in range(300)]
    covered = [CoverageRow("all", "list_id", BEGINNING, TOP, NOW - HOUR, "same", final=True, parent=id_) for id_ in parents]

    def counting(self: CoverageRow, other: object) -> bool:
        nonlocal compared
        compared += 1
        return equal(self, other)

    monkeypatch.setattr(CoverageRow, "__eq__", counting)
    result = plan(strategy_for(entry), PlanContext(entry, SyncOptions(), covered, NOW, "same", parents), None)

    assert [part.parent_id for part in result.slices] == parents
    assert not result.stale
    assert compared < 2 * len(parents)
