"""The sandbox's private API keys: made up from the seed, each with known scopes."""

import hashlib
from functools import cached_property

from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.scopes import REQUIRED_SCOPES

_LENGTH = 34
"""Characters after ``pk_`` in Klaviyo's private keys."""

PLAN_GATED_SCOPES = frozenset({"reviews:read", "webhooks:read"})
"""Scopes with endpoints that return 403 for the plan-gated key."""


def _of_includes(entry: ResourceType) -> list[str]:
    return [scope for include in entry.requested_includes for scope in include.scopes]


class Keys:
    """The keys of one sandbox: sandboxes with different seeds are different accounts and have no key in common.

    Args:
        seed: The sandbox's seed.
        catalog: The resource types that it serves.

    Attributes:
        scopes: All scopes that its endpoints need.

    Example:
        >>> Keys(seed=7).all_scopes == Keys(seed=8).all_scopes
        False
    """

    def __init__(self, seed: int, catalog: Catalog = CATALOG) -> None:
        self._seed = seed
        self.scopes = frozenset(scope for entry in catalog.values() for scope in (*entry.scopes, *_of_includes(entry)))
        self._recommended = frozenset(scope for entry in catalog.values() if entry.recommended_scope for scope in entry.endpoint_scopes)

    @property
    def all_scopes(self) -> str:
        """A key with every scope."""
        return self._key("all")

    @property
    def recommended_scopes(self) -> str:
        """A key with the recommended scopes only, so without ``accounts:read``."""
        return self._key("some")

    @property
    def required_scopes(self) -> str:
        """A key with only the scopes that every version of this package has asked for."""
        return self._key("old")

    @property
    def plan_gated(self) -> str:
        """A key with every scope, of an account with a plan without reviews and webhooks: their endpoints return 403."""
        return self._key("gated")

    def lacking(self, scope: str) -> str:
        """Return the key that has every scope except this one.

        Raises:
            ValueError: If no endpoint needs the scope.
        """
        if scope not in self.scopes:
            raise ValueError(f"no endpoint of the sandbox needs the scope {scope!r}; known: {', '.join(sorted(self.scopes))}")
        return self._key("no" + scope.removesuffix(":read").replace("-", ""))

    def scopes_of(self, key: str) -> frozenset[str] | None:
        """Return the scopes of a key, or None if the sandbox does not know it."""
        return self._scopes.get(key)

    @cached_property
    def _scopes(self) -> dict[str, frozenset[str]]:
        return {
            self.all_scopes: self.scopes,
            self.recommended_scopes: self._recommended,
            self.required_scopes: self.scopes & REQUIRED_SCOPES,
            self.plan_gated: self.scopes,
            **{self.lacking(scope): self.scopes - {scope} for scope in sorted(self.scopes)},
        }

    def _key(self, label: str) -> str:
        digest = hashlib.sha256(f"{self._seed}/{label}".encode()).hexdigest()
        return "pk_" + f"sandbox{label}{digest}"[:_LENGTH]


_DEFAULT = Keys(seed=0)
"""The keys of a sandbox with the default seed."""

ALL_SCOPES_KEY = _DEFAULT.all_scopes
"""A key with every scope, for the default seed; see :attr:`Keys.all_scopes`."""

RECOMMENDED_SCOPES_KEY = _DEFAULT.recommended_scopes
"""A key with the recommended scopes only, for the default seed; see :attr:`Keys.recommended_scopes`."""

PLAN_GATED_KEY = _DEFAULT.plan_gated
"""A key of an account with a plan without reviews and webhooks, for the default seed; see :attr:`Keys.plan_gated`."""

key_lacking = _DEFAULT.lacking
""":meth:`Keys.lacking` for the default seed."""

scopes_of = _DEFAULT.scopes_of
""":meth:`Keys.scopes_of` for the default seed."""
