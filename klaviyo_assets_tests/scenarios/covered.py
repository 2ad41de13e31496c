"""Which records a row of the coverage covers, by the history of an account: the table must hold them."""

from collections.abc import Iterator

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets_tests.scenarios.history import History
from klaviyo_assets_tests.scenarios.promises import ObservedSync, Window
from klaviyo_assets_tests.scenarios.rows import parent_of


def covered_records(entry: ResourceType, history: History, window: Window, syncs: list[ObservedSync], *, final: bool) -> Iterator[tuple[str, int]]:
    """Yield the records that a row of the coverage covers, with their versions at that time.

    A final row may combine several reads and keeps the time of the first, so it only covers records that have not changed since.
    """
    began, ended = min(one.began for one in syncs), history.snapshot if final else max(one.ended for one in syncs)
    for id_, versions in history.versions.items():
        first, last = history.index(id_, began), history.index(id_, ended)
        moved = first != last and (versions[last].row is None or window.field in (entry.version_column, *history.secondary_cursors))
        if versions[first].row is not None and window.contains(versions[first].times) and not moved and window.is_of(history.metric(id_)):
            yield id_, first


def covered_children(entry: ResourceType, history: History, parent: str, window: Window, syncs: list[ObservedSync]) -> Iterator[tuple[str, int]]:
    """Yield the children that a row of the coverage covers: those that their parent had throughout the read, in the window if it is timed."""
    is_timed = window.field in entry.replication.cursor_fields
    began, ended = min(one.began for one in syncs), max(one.ended for one in syncs)
    if entry.replication.groups is not None:
        ended = history.snapshot  # several syncs may have read it; the time is that of the first one
    for id_, versions in history.versions.items():
        first, last = history.index(id_, began), history.index(id_, ended)
        during = versions[first : last + 1]
        is_covered = all(version.row is not None and (not is_timed or window.contains(version.times)) for version in during)
        if parent_of(entry, id_) == parent and is_covered and not (is_timed and first != last):
            yield id_, first
