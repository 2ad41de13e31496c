"""Which rows of the marts are about a person."""

from collections.abc import Collection, Iterable, Iterator

from klaviyo_assets.marts.model import Scope
from klaviyo_assets.marts.stores import ChangedGroups, GroupEvents
from klaviyo_assets.warehouse.sql import literal


def conditions_about(table: str, columns: Collection[str], profile_ids: Iterable[str]) -> Iterator[str]:
    """Yield SQL conditions for the rows of a table of the marts' schema that are about some profiles.

    Args:
        table: The table, unquoted.
        columns: Names of its columns with text.
        profile_ids: Ids of the profiles.
    """
    listed = ", ".join(literal(id_) for id_ in sorted(profile_ids))
    if not listed:
        return
    if Scope.PROFILE in columns:
        yield f"{Scope.PROFILE} IN ({listed})"
    if table in (GroupEvents.NAME, ChangedGroups.NAME):
        yield f"scope = {literal(Scope.PROFILE)} AND value IN ({listed})"
