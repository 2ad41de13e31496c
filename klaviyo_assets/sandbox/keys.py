"""The sandbox's private API keys: made up, always the same, each with known scopes."""

import hashlib

from klaviyo_assets.catalog import CATALOG

_LENGTH = 34
"""Characters after ``pk_`` in a private key as Klaviyo issues them."""


def _key(label: str) -> str:
    digest = hashlib.sha256(label.encode()).hexdigest()
    return "pk_" + f"sandbox{label}{digest}"[:_LENGTH]


ALL_SCOPES = frozenset(entry.scope for entry in CATALOG.values())
"""Every scope that an endpoint of the sandbox asks for."""

EIGHT_SCOPES = frozenset(entry.scope for entry in CATALOG.values() if entry.recommended_scope)
"""The scopes that users are told to give their key; ``accounts:read`` is not among them."""

ALL_SCOPES_KEY = _key("all")
"""A key with every scope."""

EIGHT_SCOPES_KEY = _key("eight")
"""A key with the recommended scopes only, so without ``accounts:read``."""

PLAN_GATED_KEY = _key("gated")
"""A key with every scope, of an account whose plan lacks reviews: they answer 403."""

PLAN_GATED_SCOPES = frozenset({"reviews:read"})
"""Scopes whose endpoints answer the plan-gated key with a plan gate."""


def key_lacking(scope: str) -> str:
    """Return the key that has every scope but this one.

    Raises:
        ValueError: If no endpoint asks for the scope.
    """
    if scope not in ALL_SCOPES:
        raise ValueError(f"no endpoint of the sandbox asks for the scope {scope!r}; known: {', '.join(sorted(ALL_SCOPES))}")
    return _key("no" + scope.removesuffix(":read"))


_SCOPES: dict[str, frozenset[str]] = {
    ALL_SCOPES_KEY: ALL_SCOPES,
    EIGHT_SCOPES_KEY: EIGHT_SCOPES,
    PLAN_GATED_KEY: ALL_SCOPES,
    **{key_lacking(scope): ALL_SCOPES - {scope} for scope in sorted(ALL_SCOPES)},
}


def scopes_of(key: str) -> frozenset[str] | None:
    """Return the scopes of a key, or None if the sandbox does not know it."""
    return _SCOPES.get(key)
