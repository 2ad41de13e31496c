"""Describes for each resource type how it is read, and when a sync sees new, changed and deleted records. From the catalog."""

from datetime import timedelta

from markdown_text import in_words

from klaviyo_assets.catalog.parent_groups import ParentGroups
from klaviyo_assets.catalog.replication import CountCheck, FullTable, Included, Incremental, NewestFirst, PerParent, Report, ReportWindows
from klaviyo_assets.catalog.resource_type import ResourceType


def how(entry: ResourceType) -> str:
    """Return how a type is read.

    Raises:
        TypeError: If its kind of replication has no description here.
    """
    replication: object = entry.replication  # a custom type may have another kind of replication
    match replication:
        case FullTable():
            return "in full, at every sync"
        case Incremental(field=field, backfill_field=None):
            return f"in time windows of `{field}`"
        case Incremental(field=field, backfill_field=backfill):
            return f"in time windows: first of `{backfill}`, then of `{field}`"
        case NewestFirst(field=field, backfill_field=backfill):
            return f"first in time windows of `{backfill}`, then newest `{field}` first"
        case Included():
            host = entry.host.entry.name if entry.host else "another type"
            return f"in the responses for {host}, at every sync"
        case PerParent(grouped=ParentGroups(state=state, final=final)):
            parents = entry.parent.type_name if entry.parent else "parents"
            return f"for several {parents} by one request; those with the {state} {' or '.join(final)} rarely"
        case PerParent(field=str(field)):
            parent = _singular(entry.parent.type_name) if entry.parent else "parent"
            return f"in time windows of `{field}` for each {parent}; removals by counts"
        case PerParent():
            return f"in full, for each {_singular(entry.parent.type_name) if entry.parent else 'parent'}"
        case Report(windows=windows):
            return _REPORT_WINDOWS[windows]
        case _:
            raise TypeError(f"{entry.name}: describe {type(replication).__name__} here.")


_REPORT_WINDOWS = {
    ReportWindows.YEARS: "as a report, in calendar years of the send date",
    ReportWindows.DAYS: "as a report, in days",
    ReportWindows.OBSERVED: "as a report of the last 30 days, once a day",
}

_NEXT = "the next sync"

_MONTHLY = "the current and the last year: once a day; older years: once a month"

_SEEN_IN_REPORTS = {
    ReportWindows.YEARS: (_NEXT, _MONTHLY, _MONTHLY),
    ReportWindows.DAYS: (_NEXT, "the last 60 days: once a day; older days: of flows once a month, of forms and segments none", "the same"),
    ReportWindows.OBSERVED: ("once a day", "never: each day of observation has rows of its own", "never"),
}


def seen(entry: ResourceType) -> tuple[str, str, str]:
    """Return which sync sees new, changed and deleted records.

    Raises:
        TypeError: If its kind of replication has no description here.
    """
    replication: object = entry.replication  # a custom type may have another kind of replication
    full = "a full sync" + (", once a week" if entry.full_refresh == "weekly" else "")
    match replication:
        case FullTable():
            return _NEXT, _NEXT, _NEXT
        case Included():
            host = f"the next sync of {entry.needs[0]}"
            return host, host, host
        case PerParent(field=str(field), count_check=CountCheck(paused_while=paused)):
            later = f"; while a {entry.required_parent.entry.jsonapi_type} has `{paused}`, within 14 days" if paused else ""
            return _NEXT, f"{_NEXT}, if `{field}` moves", f"[by counts](#members-of-lists-and-segments), within 12 hours to 7 days{later}"
        case PerParent(grouped=ParentGroups(final=final, complete_after=age)):
            settled, within_age = " or ".join(final), f"within {_age(age)}"
            new = f"{_NEXT}; one that is already {settled} {within_age}"
            changed = f"{_NEXT}, also of one that becomes {settled}; later ones {within_age}"
            return new, changed, f"{_NEXT}; of one that is {settled} {within_age}"
        case PerParent(changed_with=changes, max_age=timedelta() as age):
            due = f"{_NEXT}, if `{changes}` of its parent has moved; else after {_age(age)}" if changes else f"once every {_age(age)}"
            return f"{_NEXT} for a new parent; {due}", due, due
        case PerParent():
            return _NEXT, _NEXT, _NEXT
        case Report(windows=windows):
            return _SEEN_IN_REPORTS[windows]
        case NewestFirst(field=field):
            return _NEXT, f"{_NEXT}, if `{field}` moves", full
        case Incremental(field=field, backfill_field=str()):
            return _NEXT, f"{_NEXT}, if `{field}` moves; else {full}", full
        case Incremental(lookback_ages=ages):
            late = f"one that arrives late when its time window is {in_words([_age(age) for age in ages])} old"
            return f"{_NEXT}; {late}; later ones the audit and a repair", f"the same reads; later a {full.removeprefix('a ')}", f"the audit, {full}"
        case _:
            raise TypeError(f"{entry.name}: describe {type(replication).__name__} here.")


def _age(age: timedelta) -> str:
    hours = round(age.total_seconds() / 3600)
    return f"{hours} h" if hours < 24 else f"{hours // 24} d"


def _singular(type_name: str) -> str:
    name = type_name.replace("_", " ")
    return f"{name.removesuffix('ies')}y" if name.endswith("ies") else name.removesuffix("s")
