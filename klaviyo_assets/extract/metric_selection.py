"""Which metrics' records a sync reads, by the user's names and ids, and the coverage of each. Pure.

Klaviyo filters events by one metric at a time (``equals(metric_id,…)``) and cannot leave one out. So the records of metrics to include are read by
a chain of requests each, and those of all but some by one chain, from which the records of the others are dropped. One chain per remaining metric
would transfer less in the first sync, but it would cost a request for each metric and window in every later one, and miss events of metrics that
Klaviyo does not list.

The coverage says in its column ``subset`` what was read: ``all``, ``all except`` some metrics, or one metric. So a change of the selection reads
exactly what is missing: the history of a metric that is added, and of one that is no longer left out only the windows that were read without it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from klaviyo_assets._internal.near_names import did_you_mean
from klaviyo_assets.api.filters import equals
from klaviyo_assets.catalog.resource_type import Subset
from klaviyo_assets.errors import SyncError
from klaviyo_assets.state.coverage import CoverageRow

if TYPE_CHECKING:
    import polars as pl

INCLUDE, EXCLUDE = "KLAVIYO_EVENT_METRICS", "KLAVIYO_EXCLUDE_EVENT_METRICS"

_ALL = Subset().name
_EXCEPT = f"{_ALL} except "
_ONE = "metric "


class UnknownMetric(SyncError):
    """A setting names a metric that the account does not have."""


@dataclass(frozen=True)
class MetricSelection:
    """The selected metrics, by id.

    Attributes:
        included: The only metrics that are read; None for all except the excluded ones.
        excluded: Metrics that are not read.
        listed: All metrics that Klaviyo lists.
        notes: Sentences for the user about names that no metric has.
    """

    included: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()
    listed: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def selects(self, metric_id: str) -> bool:
        """Return whether a metric is selected."""
        return metric_id in self.included if self.included is not None else metric_id not in self.excluded

    @property
    def selects_all(self) -> bool:
        """True if no metric is left out."""
        return self.included is None and not self.excluded

    def keep(self, frame: "pl.DataFrame", column: str) -> "pl.DataFrame":
        """Return the records of a frame that are selected. Records without a metric are selected unless only some metrics are."""
        if self.selects_all:
            return frame
        if self.included is not None:
            return frame.filter(frame[column].is_in(list(self.included)))
        return frame.filter(~frame[column].is_in(list(self.excluded)) | frame[column].is_null())

    def parts(self, field: str, covered: Sequence[CoverageRow]) -> list[tuple[Subset, list[CoverageRow]]]:
        """Return what is read by separate requests, each with the coverage that it has.

        Args:
            field: Filter field of the metric.
            covered: Coverage of the resource type.
        """
        if self.included is not None:
            return [_part_of(field, metric, covered) for metric in sorted(self.included)]
        subset = Subset(name=f"{_EXCEPT}{', '.join(sorted(self.excluded))}" if self.excluded else _ALL)
        everything = [replace(row, subset=subset.name) for row in covered if not row.subset.startswith(_ONE)]
        again = left_out(covered) - self.excluded & self.listed
        return [(subset, everything), *(_part_of(field, metric, covered) for metric in sorted(again))]


EVERY_METRIC = MetricSelection()
"""Selects all metrics."""


def left_out(covered: Iterable[CoverageRow]) -> frozenset[str]:
    """Return the metrics that some reads have left out."""
    return frozenset(metric for row in covered for metric in _exceptions(row.subset))


def is_divided(covered: Iterable[CoverageRow]) -> bool:
    """Return whether some reads have left out metrics, or read only one."""
    return any(row.subset.startswith((_EXCEPT, _ONE)) for row in covered)


def coverage_of(metric_id: str, covered: Iterable[CoverageRow]) -> list[CoverageRow]:
    """Return the coverage that includes the records of a metric."""
    own = f"{_ONE}{metric_id}"
    return [row for row in covered if row.subset == own or (not row.subset.startswith(_ONE) and metric_id not in _exceptions(row.subset))]


def _part_of(field: str, metric_id: str, covered: Iterable[CoverageRow]) -> tuple[Subset, list[CoverageRow]]:
    subset = Subset(name=f"{_ONE}{metric_id}", filters=(equals(field, metric_id),))
    return subset, [replace(row, subset=subset.name) for row in coverage_of(metric_id, covered)]


def _exceptions(subset: str) -> list[str]:
    return subset.removeprefix(_EXCEPT).split(", ") if subset.startswith(_EXCEPT) else []


@dataclass(frozen=True)
class MetricRules:
    """The metrics that the user names.

    Attributes:
        include: Names and ids of the only metrics to read; empty for all.
        exclude: Names and ids of metrics not to read.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)

    def resolve(self, listed: Mapping[str, str], known: Mapping[str, str], covered: Sequence[CoverageRow] = ()) -> MetricSelection:
        """Return the metrics that the names and ids mean. A name may mean several: each integration has its own Placed Order.

        A name that no metric has is probably misspelled if nothing has been read yet. Later, the metric may have been renamed or deleted: that is
        noted, and the sync goes on with the other names.

        Args:
            listed: Names of the metrics that Klaviyo lists now, by id.
            known: Names of metrics that are stored, by id: a metric that was deleted in Klaviyo is not a mistake.
            covered: The coverage so far. An id that it leaves out is known too.

        Raises:
            UnknownMetric: If no metric has a given name or id and nothing has been read yet, or none of the metrics to include exists; the text
                lists similar names.
        """
        names, before = {**known, **listed}, left_out(covered)
        included, not_included = _ids(names, self.include)
        excluded, not_excluded = _ids({**dict(zip(before, before, strict=True)), **names}, self.exclude)
        for setting, unknown, is_fatal in ((INCLUDE, not_included, not included), (EXCLUDE, not_excluded, False)):
            if unknown and (is_fatal or not covered):
                raise UnknownMetric(f"{_unknown(setting, unknown[0])}.", _advice(unknown[0], names))
        notes = [
            f"{_unknown(INCLUDE, one)}: only the other named metrics are read. Stored rows stay; if the metric was renamed, its new events are "
            f"missing. What to do: {_advice(one, names)}"
            for one in not_included
        ]
        again = [f"{names[id_]!r} ({id_})" for id_ in sorted(before - excluded & listed.keys())]
        read_now = f" Events of {', '.join(again)} were left out before and are read now, also those of the past." if again else ""
        notes += [f"{_unknown(EXCLUDE, one)}, so it leaves out no events.{read_now} What to do: {_advice(one, names)}" for one in not_excluded]
        return MetricSelection(included if self.include else None, excluded, frozenset(listed), tuple(notes))


NO_RULES = MetricRules()
"""The rules of a user who names no metrics."""


def _ids(names: Mapping[str, str], wanted: Iterable[str]) -> tuple[frozenset[str], list[str]]:
    """Return the ids of the metrics with these names or ids, and the names that no metric has."""
    found: set[str] = set()
    unknown: list[str] = []
    for one in wanted:
        ids = {id_ for id_, name in names.items() if one in (id_, name)}
        found |= ids
        if not ids:
            unknown.append(one)
    return frozenset(found), unknown


def _unknown(setting: str, name: str) -> str:
    return f"{setting} names {name!r}, and the account has no metric with this name or id"


def _advice(name: str, names: Mapping[str, str]) -> str:
    return f"{did_you_mean(name, names.values())}Write a name exactly as in Klaviyo (Analytics > Metrics), or the metric's id."
