"""API scopes: those without which an asset fails, and how messages name several. Without any other scope, an asset is skipped with a warning."""

from collections.abc import Sequence
from typing import Final

REQUIRED_SCOPES: Final = frozenset(
    {"campaigns:read", "events:read", "flows:read", "lists:read", "metrics:read", "profiles:read", "reviews:read", "segments:read"}
)
"""The scopes that every version of this package has asked for. A new default type, which needs another scope, must not fail runs with a key that was
made for an earlier version."""


def scopes_in_words(scopes: Sequence[str]) -> str:
    """Return scopes, at least one, as text for messages: ``a:read, b:read and c:read``."""
    *others, last = scopes
    return f"{', '.join(others)} and {last}" if others else last
