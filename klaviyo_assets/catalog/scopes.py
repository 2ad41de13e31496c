"""The scopes without which an asset fails. Without any other scope, an asset is skipped with a warning."""

from typing import Final

REQUIRED_SCOPES: Final = frozenset(
    {"campaigns:read", "events:read", "flows:read", "lists:read", "metrics:read", "profiles:read", "reviews:read", "segments:read"}
)
"""The scopes that every version of this package has asked for. A new default type, which needs another scope, must not fail runs with a key that was
made for an earlier version."""
