"""Which lists and segments are read, of those that exist: those that the user names in ``member_groups``."""

from collections.abc import Mapping

from klaviyo_assets._internal.near_names import did_you_mean
from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.catalog import Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.load.access.child_access import ChildAccess
from klaviyo_assets.sync.context import SyncContext


async def selected_parents(sync: SyncContext, parents: tuple[str, ...]) -> tuple[str, ...]:
    """Return the parents that the user selects, of those that exist; all if the user selects none or the type has no choice.

    Notes each name that no group has. The setting holds for lists, segments and the groups of a user's own types, so the name of a segment is no
    mistake in a sync of the members of lists.
    """
    wanted, parent = sync.options.member_groups, sync.entry.parent
    if sync.entry.replication.count_check is None or parent is None or not wanted or not parents:
        return parents
    access = ChildAccess(sync.loader)
    types = {one.name: one for one in (parent.entry, *_types_with_members(sync.catalog))}
    names = {name: await in_thread(access.names_of, one) for name, one in types.items()}
    own = names[parent.type_name]
    named = {id_ for id_, name in own.items() if id_ in wanted or name in wanted}
    selected = tuple(id_ for id_ in parents if id_ in named)
    if not selected:
        sync.note(f"None of the {parent.type_name} has an id or name of the setting member_groups, so no {sync.entry.name} are read.")
    _note_unknown(sync, names)
    return selected


def _types_with_members(catalog: Catalog) -> list[ResourceType]:
    """Return the types that the setting names records of, such as lists and segments."""
    return [one.parent.entry for one in catalog.values() if one.parent is not None and one.replication.count_check is not None]


def _note_unknown(sync: SyncContext, names: Mapping[str, Mapping[str, str]]) -> None:
    known = {text for of_type in names.values() for pair in of_type.items() for text in pair}
    tables = " and ".join(one for one, of_type in names.items() if of_type)
    for one in dict.fromkeys(sync.options.member_groups):
        if one not in known:
            sync.note(
                f"The setting member_groups names {one!r}, which is no id or name of a record in {tables}, so no members are read for it. "
                "If the list or segment was renamed, its stored members stay as they are, and who leaves it is no longer seen. "
                f"What to do: {did_you_mean(one, known)}Set its present name, or its id, which stays the same; or remove it from the setting."
            )
