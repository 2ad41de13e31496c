"""Differences between two sets of structures (see recorded.py): those that the sandbox sends and the recorded ones."""

from dataclasses import dataclass, field
from typing import Any

UNINFORMATIVE = {"null", "empty"}
"""Leaves that do not show the type of a member."""

WHOLE_SECONDS = "0000-00-00T00:00:00+00:00"

FRACTIONS = "0000-00-00T00:00:00.000000+00:00"
"""A time with a fraction; the fraction is omitted if it is zero."""

JSON_TYPES = {"array", "boolean", "integer", "number", "object"}
"""JSON types except strings; a string is described by its format."""


@dataclass
class Observed:
    """The observations of one member: its leaves, its members by name, and the elements of its arrays."""

    leaves: set[str] = field(default_factory=set)
    members: dict[str, "Observed"] = field(default_factory=dict)
    elements: "Observed | None" = None
    always: set[str] | None = None

    @property
    def kinds(self) -> set[str]:
        """JSON types; for strings, the format of a time or a link."""
        return self.leaves | ({"object"} if self.always is not None else set()) | ({"array"} if self.elements else set())


def merge(structures: list[Any]) -> Observed:
    """Return the combined observations of several structures."""
    observed = Observed()
    for one in structures:
        _add(observed, one)
    return observed


def _add(observed: Observed, structure: Any) -> None:
    match structure:
        case dict():
            observed.always = set(structure) if observed.always is None else observed.always & set(structure)
            for name, member in structure.items():
                _add(observed.members.setdefault(name, Observed()), member)
        case list():
            observed.elements = observed.elements or Observed()
            for element in structure:
                _add(observed.elements, element)
        case str() | int():
            observed.leaves.add(str(structure))
        case _:
            raise TypeError(f"{structure!r} is not a structure.")


def differences(ours: Observed, theirs: Observed, facts: dict[str, Any] | None = None, path: str = "") -> list[str]:
    """Return one line for each difference between our and Klaviyo's structures.

    A null, or a value where only null was recorded, is not a difference if the description allows it.

    Args:
        ours: The structures that the sandbox sends.
        theirs: The recorded structures.
        facts: The digest's facts about the member, if the description contains it.
        path: The path of the member.
    """
    found = [
        f"{path or 'it'}: {kind}, recorded: {sorted(theirs.kinds)}" for kind in sorted(ours.kinds - theirs.kinds) if not _allowed(kind, theirs, facts)
    ]
    inner = (facts or {}).get("members", {})
    if ours.always is not None and theirs.always is not None:
        # The recording may not contain every kind of an object with several kinds.
        known = set(inner) if (facts or {}).get("choices") else set()
        found += [f"{path}.{name}: not recorded" for name in sorted(ours.members.keys() - theirs.members.keys() - known)]
        found += [f"{path}.{name}: missing in some" for name in sorted(theirs.always - ours.always - known)]
    for name in sorted(ours.members.keys() & theirs.members.keys()):
        found += differences(ours.members[name], theirs.members[name], inner.get(name), f"{path}.{name}")
    if ours.elements and theirs.elements:
        found += differences(ours.elements, theirs.elements, None, f"{path}[]")
    return found


def _allowed(kind: str, theirs: Observed, facts: dict[str, Any] | None) -> bool:
    if kind == "null":
        return facts is not None and not facts.get("promised", False)
    if kind == "empty":
        return bool(theirs.kinds & {"array", "object"}) or theirs.kinds <= UNINFORMATIVE
    if kind == WHOLE_SECONDS and FRACTIONS in theirs.kinds:
        return True
    if kind == "integer" and "number" in theirs.kinds:
        return True
    types = (facts or {}).get("types", [])
    if not theirs.kinds <= UNINFORMATIVE:
        return len(types) > 1 and kind in types
    if "empty" in theirs.kinds:
        return kind in ("array", "object")
    return not types or kind in types or ("string" in types and kind not in JSON_TYPES)
