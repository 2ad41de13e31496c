"""How the children of several parents are read by one request, as data."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class ParentGroups:
    """How the children of many parents are read by few requests, and those of one large parent by several cursor chains.

    The endpoint filters the children by several parents (``Parent.filter``), by a state and by a time. It need not sort them. Children in a final
    state do not change any more, so most syncs do not read them.

    Attributes:
        state: Column, and filter field, with the state; the column's ``values`` are all states.
        final: States that a child never leaves.
        cut_by: Time column, and filter field, by which the children of a large parent are divided.
        complete_after: Age of a complete read after which all children of a parent are read again, also those in a final state.

    Example:
        >>> PerParent(grouped=ParentGroups("status", final=("USED",), cut_by="expires_at", complete_after=timedelta(days=7)))
    """

    state: str
    final: tuple[str, ...]
    cut_by: str
    complete_after: timedelta
