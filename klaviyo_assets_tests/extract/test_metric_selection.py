"""Names and ids of metrics, and the coverage of each metric."""

from datetime import UTC, datetime

import polars as pl
import pytest

from klaviyo_assets.extract.metric_selection import MetricRules, MetricSelection, UnknownMetric, coverage_of, left_out
from klaviyo_assets.state.coverage import CoverageRow

NAMES = {"a1": "Active on Site", "p1": "Placed Order", "p2": "Placed Order", "v1": "Viewed, Product"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def rows(*subsets: str) -> list[CoverageRow]:
    return [CoverageRow(subset, "datetime", NOW, NOW, NOW, "print") for subset in subsets]


def test_a_name_selects_all_metrics_that_have_it() -> None:
    assert MetricRules(include=("Placed Order", "v1")).resolve(NAMES, {}).included == {"p1", "p2", "v1"}
    assert MetricRules(exclude=("Placed Order",)).resolve(NAMES, {}).excluded == {"p1", "p2"}


def test_a_metric_that_was_deleted_in_klaviyo_is_no_mistake() -> None:
    assert MetricRules(exclude=("Old", "Active on Site")).resolve(NAMES, {"o1": "Old"}).excluded == {"a1", "o1"}


@pytest.mark.parametrize(
    ("rules", "setting", "near"),
    [
        (MetricRules(include=("Placed order",)), "KLAVIYO_EVENT_METRICS", "Did you mean 'Placed Order'?"),
        (MetricRules(exclude=("Active On Site",)), "KLAVIYO_EXCLUDE_EVENT_METRICS", "Did you mean 'Active on Site'?"),
        (MetricRules(exclude=("zzz",)), "KLAVIYO_EXCLUDE_EVENT_METRICS", "Write a name exactly as in Klaviyo"),
    ],
)
def test_a_misspelled_name_is_an_error_that_lists_near_ones(rules: MetricRules, setting: str, near: str) -> None:
    with pytest.raises(UnknownMetric) as caught:
        rules.resolve(NAMES, {})

    assert caught.value.summary.startswith(f"{setting} names ")
    assert caught.value.advice.startswith(near)


def test_once_events_have_been_read_a_name_that_no_metric_has_is_a_note() -> None:
    some = MetricRules(include=("Placed Order", "Placed order")).resolve(NAMES, {}, rows("metric p1"))
    none_left_out = MetricRules(exclude=("Active On Site",)).resolve(NAMES, {}, rows("all except a1"))

    assert some.included == {"p1", "p2"}
    (note,) = some.notes
    assert "KLAVIYO_EVENT_METRICS names 'Placed order'" in note
    assert "Did you mean 'Placed Order'?" in note
    assert none_left_out.selects_all
    (note,) = none_left_out.notes
    assert "Events of 'Active on Site' (a1) were left out before and are read now" in note
    assert "Did you mean 'Active on Site'?" in note


def test_it_is_an_error_if_none_of_the_metrics_to_include_exists() -> None:
    with pytest.raises(UnknownMetric):
        MetricRules(include=("Placed order", "zzz")).resolve(NAMES, {}, rows("metric p1"))


def test_an_id_that_was_left_out_stays_excluded_when_klaviyo_no_longer_lists_it() -> None:
    """Klaviyo may still return events of a metric that it no longer lists."""
    selection = MetricRules(exclude=("gone",)).resolve(NAMES, {}, rows("all except gone"))

    assert (selection.excluded, selection.notes) == ({"gone"}, ())


def test_records_without_a_metric_stay_unless_only_some_metrics_are_selected() -> None:
    frame = pl.DataFrame({"metric_id": ["a1", "p1", None]})

    assert MetricSelection().keep(frame, "metric_id").height == 3
    assert MetricSelection(excluded=frozenset({"a1"})).keep(frame, "metric_id")["metric_id"].to_list() == ["p1", None]
    assert MetricSelection(included=frozenset({"a1"})).keep(frame, "metric_id")["metric_id"].to_list() == ["a1"]


def test_coverage_of_a_metric() -> None:
    covered = rows("all", "all except a1, p1", "metric p1")

    assert [row.subset for row in coverage_of("p1", covered)] == ["all", "metric p1"]
    assert [row.subset for row in coverage_of("v1", covered)] == ["all", "all except a1, p1"]
    assert left_out(covered) == {"a1", "p1"}


def test_a_metric_that_was_left_out_is_read_by_itself_once_it_is_selected() -> None:
    covered = rows("all except a1, p1, gone")

    parts = MetricSelection(excluded=frozenset({"a1"}), listed=frozenset(NAMES)).parts("metric_id", covered)

    assert [(subset.name, subset.filters, len(known)) for subset, known in parts] == [
        ("all except a1", (), 1),
        ("metric p1", ('equals(metric_id,"p1")',), 0),
    ]
