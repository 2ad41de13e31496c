"""The sandbox's private API keys: made up, a function of the seed, each with known scopes."""

import hashlib
from functools import cached_property

from klaviyo_assets.catalog import CATALOG

_LENGTH = 34
"""Characters after ``pk_`` in a private key as Klaviyo issues them."""

ALL_SCOPES = frozenset(entry.scope for entry in CATALOG.values())
"""Every scope that an endpoint of the sandbox asks for."""

EIGHT_SCOPES = frozenset(entry.scope for entry in CATALOG.values() if entry.recommended_scope)
"""The scopes that users are told to give their key; ``accounts:read`` is not among them."""

PLAN_GATED_SCOPES = frozenset({"reviews:read"})
"""Scopes whose endpoints answer the plan-gated key with a plan gate."""


class Keys:
    """The keys of one sandbox: two sandboxes with different seeds, which are two accounts, have no key in common.

    Args:
        seed: The sandbox's seed.

    Example:
        >>> Keys(seed=7).all_scopes == Keys(seed=8).all_scopes
        False
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    @property
    def all_scopes(self) -> str:
        """A key with every scope."""
        return self._key("all")

    @property
    def eight_scopes(self) -> str:
        """A key with the recommended scopes only, so without ``accounts:read``."""
        return self._key("eight")

    @property
    def plan_gated(self) -> str:
        """A key with every scope, of an account whose plan lacks reviews: they answer 403."""
        return self._key("gated")

    def lacking(self, scope: str) -> str:
        """Return the key that has every scope but this one.

        Raises:
            ValueError: If no endpoint asks for the scope.
        """
        if scope not in ALL_SCOPES:
            raise ValueError(f"no endpoint of the sandbox asks for the scope {scope!r}; known: {', '.join(sorted(ALL_SCOPES))}")
        return self._key("no" + scope.removesuffix(":read"))

    def scopes_of(self, key: str) -> frozenset[str] | None:
        """Return the scopes of a key, or None if the sandbox does not know it."""
        return self._scopes.get(key)

    @cached_property
    def _scopes(self) -> dict[str, frozenset[str]]:
        return {
            self.all_scopes: ALL_SCOPES,
            self.eight_scopes: EIGHT_SCOPES,
            self.plan_gated: ALL_SCOPES,
            **{self.lacking(scope): ALL_SCOPES - {scope} for scope in sorted(ALL_SCOPES)},
        }

    def _key(self, label: str) -> str:
        digest = hashlib.sha256(f"{self._seed}/{label}".encode()).hexdigest()
        return "pk_" + f"sandbox{label}{digest}"[:_LENGTH]


_DEFAULT = Keys(seed=0)
"""Of a sandbox that is given no seed."""

ALL_SCOPES_KEY = _DEFAULT.all_scopes
"""A key with every scope, of a sandbox that is given no seed; see :attr:`Keys.all_scopes`."""

EIGHT_SCOPES_KEY = _DEFAULT.eight_scopes
"""A key with the recommended scopes only, of a sandbox that is given no seed; see :attr:`Keys.eight_scopes`."""

PLAN_GATED_KEY = _DEFAULT.plan_gated
"""A key of an account whose plan lacks reviews, of a sandbox that is given no seed; see :attr:`Keys.plan_gated`."""

key_lacking = _DEFAULT.lacking
"""As :meth:`Keys.lacking`, of a sandbox that is given no seed."""

scopes_of = _DEFAULT.scopes_of
"""As :meth:`Keys.scopes_of`, of a sandbox that is given no seed."""
