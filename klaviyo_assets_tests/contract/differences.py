"""What differs between two sets of structures (see recorded.py): those that the sandbox sends, and those that were recorded."""

from dataclasses import dataclass, field
from typing import Any

UNTOLD = {"null", "empty"}
"""Leaves that say nothing about what else a member may hold."""

WHOLE_SECONDS = "0000-00-00T00:00:00+00:00"

FRACTIONS = "0000-00-00T00:00:00.000000+00:00"
"""Times with fractions have none if the fraction is nought."""

JSON_TYPES = {"array", "boolean", "integer", "number", "object"}
"""JSON types that are no text; of a text the form is given instead."""


@dataclass
class Seen:
    """What was seen of one member: its leaves, its members by name, and what its arrays held."""

    leaves: set[str] = field(default_factory=set)
    members: dict[str, "Seen"] = field(default_factory=dict)
    elements: "Seen | None" = None
    always: set[str] | None = None

    @property
    def kinds(self) -> set[str]:
        """JSON types, those of texts with the form of a time or a link."""
        return self.leaves | ({"object"} if self.always is not None else set()) | ({"array"} if self.elements else set())


def merge(structures: list[Any]) -> Seen:
    """Return what was seen in all of some structures together."""
    seen = Seen()
    for one in structures:
        _add(seen, one)
    return seen


def _add(seen: Seen, structure: Any) -> None:
    match structure:
        case dict():
            seen.always = set(structure) if seen.always is None else seen.always & set(structure)
            for name, member in structure.items():
                _add(seen.members.setdefault(name, Seen()), member)
        case list():
            seen.elements = seen.elements or Seen()
            for element in structure:
                _add(seen.elements, element)
        case str() | int():
            seen.leaves.add(str(structure))
        case _:
            raise TypeError(f"{structure!r} is no structure.")


def differences(ours: Seen, theirs: Seen, facts: dict[str, Any] | None = None, path: str = "") -> list[str]:
    """Return one line for each way in which ours is not like theirs.

    A null, or a value where only null was recorded, is no difference if the description allows it.

    Args:
        ours: What the sandbox sends.
        theirs: What was recorded.
        facts: The digest's facts about the member, where the description names it.
        path: Where the member is.
    """
    found = [
        f"{path or 'it'}: {kind}, recorded: {sorted(theirs.kinds)}" for kind in sorted(ours.kinds - theirs.kinds) if not _allowed(kind, theirs, facts)
    ]
    inner = (facts or {}).get("members", {})
    if ours.always is not None and theirs.always is not None:
        # Of an object of several kinds, not every kind was recorded.
        known = set(inner) if (facts or {}).get("choices") else set()
        found += [f"{path}.{name}: not recorded" for name in sorted(ours.members.keys() - theirs.members.keys() - known)]
        found += [f"{path}.{name}: missing in some" for name in sorted(theirs.always - ours.always - known)]
    for name in sorted(ours.members.keys() & theirs.members.keys()):
        found += differences(ours.members[name], theirs.members[name], inner.get(name), f"{path}.{name}")
    if ours.elements and theirs.elements:
        found += differences(ours.elements, theirs.elements, None, f"{path}[]")
    return found


def _allowed(kind: str, theirs: Seen, facts: dict[str, Any] | None) -> bool:
    if kind == "null":
        return facts is not None and not facts.get("promised", False)
    if kind == "empty":
        return bool(theirs.kinds & {"array", "object"}) or theirs.kinds <= UNTOLD
    if kind == WHOLE_SECONDS and FRACTIONS in theirs.kinds:
        return True
    if kind == "integer" and "number" in theirs.kinds:
        return True
    types = (facts or {}).get("types", [])
    if not theirs.kinds <= UNTOLD:
        return len(types) > 1 and kind in types
    if "empty" in theirs.kinds:
        return kind in ("array", "object")
    return not types or kind in types or ("string" in types and kind not in JSON_TYPES)
