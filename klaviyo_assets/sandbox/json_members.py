"""The members of a JSON object as raw JSON."""

import json
from typing import Any

import msgspec


def members_of(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """Return the members of a JSON object as raw JSON."""
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        # Half of an escaped emoji: strict parsers reject it, Python's parser does not.
        found: dict[str, Any] = json.loads(bytes(raw))
        return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in found.items()}
