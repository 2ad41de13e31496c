"""Planning after a change of options: the coverage has another fingerprint."""

from dataclasses import replace

import pytest

from klaviyo_assets.catalog import CATALOG, Include
from klaviyo_assets.catalog.replication import Incremental, NewestFirst
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions, read_fingerprint
from klaviyo_assets.state.coverage import BEGINNING, CoverageRow
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.each import each
from klaviyo_assets_tests.extract.plans import BY_TIME, DAY, HOUR, NOW, TOP, at, planned, row


def coverage_with_other_options(name: str) -> list[CoverageRow]:
    replication = CATALOG[name].replication
    assert isinstance(replication, Incremental | NewestFirst)
    if replication.backfill_field is None:
        return [row(replication.field, BEGINNING, TOP - DAY, NOW - DAY, "before")]
    backfill = row(replication.backfill_field, BEGINNING, at(5), at(5), "before")
    return [backfill, row(replication.field, at(5) - HOUR, TOP - DAY, NOW - DAY, "before")]


COVERAGE_OF = {name: coverage_with_other_options(name) for name in BY_TIME}


@each(BY_TIME)
def test_coverage_with_other_options_is_read_again(name: str) -> None:
    again = planned(name, covered=COVERAGE_OF[name])

    assert again.slices == planned(name).slices
    assert again.stale


@each(BY_TIME)
def test_coverage_with_other_options_is_kept_if_accepted(name: str) -> None:
    kept = planned(name, SyncOptions(accept_changed_options=True), COVERAGE_OF[name])

    assert kept == planned(name, covered=COVERAGE_OF[name], fingerprint_="before")
    assert not kept.stale


@each(BY_TIME)
def test_a_full_read_does_not_report_changed_options(name: str) -> None:
    assert not planned(name, SyncOptions(SyncMode.full), COVERAGE_OF[name]).stale


@each(BY_TIME)
def test_changed_options_are_reported_until_everything_is_read_again(name: str) -> None:
    """Changes before the new backfill began need not be read again."""
    first, *_ = planned(name).slices
    assert first.field is not None
    read = [row(first.field, BEGINNING, TOP, NOW)]
    covered = [one for one in COVERAGE_OF[name] if one.field != first.field] + read

    assert not planned(name, covered=covered, now=NOW + DAY).stale


@each(COLLECTIONS)
def test_the_fingerprint_depends_on_the_revision_and_the_type(name: str) -> None:
    entry = CATALOG[name]

    assert read_fingerprint(entry, "2026-07-15") == read_fingerprint(entry, "2026-07-15")
    assert read_fingerprint(entry, "2026-07-15") != read_fingerprint(entry, "2026-10-15")


def test_the_fingerprints_of_all_types_differ() -> None:
    assert len({read_fingerprint(one, "2026-07-15") for one in CATALOG.values()}) == len(CATALOG)


@pytest.mark.parametrize("includes", [(Include("tags"),), (Include("flow-actions"),), (Include("tags", fields={"tag": ("name",)}),)])
def test_the_fingerprint_depends_on_what_is_included(includes: tuple[Include, ...]) -> None:
    entry = CATALOG["flows"]
    without, other = replace(entry, requested_includes=()), replace(entry, requested_includes=(Include("tags"), Include("flow-actions")))

    found = {read_fingerprint(one, "2026-07-15") for one in (without, other, replace(entry, requested_includes=includes))}

    assert len(found) == 3
