"""The members of a JSON object, each left as the JSON that it is."""

import json
from typing import Any

import msgspec


def members_of(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """Return the members of a JSON object as ready-made JSON."""
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        # Half of an escaped emoji, which strict parsers refuse and Python's own does not.
        found: dict[str, Any] = json.loads(bytes(raw))
        return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in found.items()}
