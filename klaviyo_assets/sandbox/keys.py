"""The sandbox's private API keys: made up, a function of the seed, each with known scopes."""

import hashlib
from functools import cached_property

from klaviyo_assets.catalog import CATALOG, Catalog

_LENGTH = 34
"""Characters after ``pk_`` in a private key as Klaviyo issues them."""

PLAN_GATED_SCOPES = frozenset({"reviews:read"})
"""Scopes whose endpoints answer the plan-gated key with a plan gate."""


class Keys:
    """The keys of one sandbox: two sandboxes with different seeds, which are two accounts, have no key in common.

    Args:
        seed: The sandbox's seed.
        catalog: The resource types that it serves.

    Attributes:
        scopes: Every scope that one of its endpoints needs.

    Example:
        >>> Keys(seed=7).all_scopes == Keys(seed=8).all_scopes
        False
    """

    def __init__(self, seed: int, catalog: Catalog = CATALOG) -> None:
        self._seed = seed
        self.scopes = frozenset(scope for entry in catalog.values() for scope in entry.scopes)
        self._recommended = frozenset(scope for entry in catalog.values() if entry.recommended_scope for scope in entry.scopes)

    @property
    def all_scopes(self) -> str:
        """A key with every scope."""
        return self._key("all")

    @property
    def recommended_scopes(self) -> str:
        """A key with the recommended scopes only, so without ``accounts:read``."""
        return self._key("some")

    @property
    def plan_gated(self) -> str:
        """A key with every scope, of an account whose plan lacks reviews: they answer 403."""
        return self._key("gated")

    def lacking(self, scope: str) -> str:
        """Return the key that has every scope but this one.

        Raises:
            ValueError: If no endpoint asks for the scope.
        """
        if scope not in self.scopes:
            raise ValueError(f"no endpoint of the sandbox needs the scope {scope!r}; known: {', '.join(sorted(self.scopes))}")
        return self._key("no" + scope.removesuffix(":read"))

    def scopes_of(self, key: str) -> frozenset[str] | None:
        """Return the scopes of a key, or None if the sandbox does not know it."""
        return self._scopes.get(key)

    @cached_property
    def _scopes(self) -> dict[str, frozenset[str]]:
        return {
            self.all_scopes: self.scopes,
            self.recommended_scopes: self._recommended,
            self.plan_gated: self.scopes,
            **{self.lacking(scope): self.scopes - {scope} for scope in sorted(self.scopes)},
        }

    def _key(self, label: str) -> str:
        digest = hashlib.sha256(f"{self._seed}/{label}".encode()).hexdigest()
        return "pk_" + f"sandbox{label}{digest}"[:_LENGTH]


_DEFAULT = Keys(seed=0)
"""Of a sandbox that is given no seed."""

ALL_SCOPES_KEY = _DEFAULT.all_scopes
"""A key with every scope, of a sandbox that is given no seed; see :attr:`Keys.all_scopes`."""

RECOMMENDED_SCOPES_KEY = _DEFAULT.recommended_scopes
"""A key with the recommended scopes only, of a sandbox that is given no seed; see :attr:`Keys.recommended_scopes`."""

PLAN_GATED_KEY = _DEFAULT.plan_gated
"""A key of an account whose plan lacks reviews, of a sandbox that is given no seed; see :attr:`Keys.plan_gated`."""

key_lacking = _DEFAULT.lacking
"""As :meth:`Keys.lacking`, of a sandbox that is given no seed."""

scopes_of = _DEFAULT.scopes_of
"""As :meth:`Keys.scopes_of`, of a sandbox that is given no seed."""
