"""``klaviyo-assets check``: the access checks in the terminal, with an exit status."""

import asyncio
import os
import warnings
from collections.abc import Collection, Sequence

from klaviyo_assets._internal.machine_folder import limits_folder
from klaviyo_assets.api.auth import ApiKey, ApiKeyWarning, parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import ApiKeyError
from klaviyo_assets.api.scope_check import Access, Verdict, assess, assess_all
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.hosting import columns_of_include, optional_includes
from klaviyo_assets.catalog.selection import select
from klaviyo_assets.cli.output import say, table
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.settings.options import API_KEY, client_settings, from_environment

USABLE, NOT_USABLE, UNCLEAR = 0, 1, 2

_MAX_WAIT = 30.0
"""Longest ``Retry-After`` in seconds that a check waits for, since a user waits for it."""

_MAX_RETRIES_AFTER_429 = 6
"""Maximum retries of a request after a 429; other clients of the account leave room sooner or later."""


def check(names: Sequence[str] | None = None, catalog: Catalog = CATALOG) -> int:
    """Check for each resource type whether the key may read it, print a table, and return the exit status.

    Args:
        names: Resource types and groups; all by default.
        catalog: The catalog of your code location, if it has resource types from outside this package.

    Returns:
        0 if all are usable (a missing optional scope and a child type without parents are only warnings), 1 if something must be changed about the
        key (itself, its scopes, its account's plan) or this version, 2 if it is unclear: a setting prevents the requests, or the result may change
        later.
    """
    try:
        settings = from_environment(catalog=catalog)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ApiKeyWarning)
            key = parse_api_key(os.environ.get(API_KEY))
        for warning in caught:
            say(f"Warning: {warning.message}", error=True)
        limits = limits_folder(settings.base_url, key.reveal())
        options = client_settings(settings, shared_limits=limits, max_retries=2, max_retries_after_429=_MAX_RETRIES_AFTER_429, longest_wait=_MAX_WAIT)
        found, missing = asyncio.run(_assess_all(key, options, catalog, _by_group(catalog, names or ())))
    except KlaviyoAssetsError as error:
        say(str(error), error=True)
        return NOT_USABLE if isinstance(error, ApiKeyError) else UNCLEAR
    say(table(("ASSET", "GROUP", "SCOPE", "VERDICT", "WHAT TO DO"), [_cells(access, missing) for access in found]), "", _summary(found))
    return exit_status(found)


def exit_status(found: Sequence[Access]) -> int:
    """Return the exit status for the verdicts."""
    if any(not (access.granted or access.unknown or access.optional or access.unclear) for access in found):
        return NOT_USABLE
    return UNCLEAR if any(access.unclear for access in found) else USABLE


async def _assess_all(key: ApiKey, settings: ClientSettings, catalog: Catalog, names: Sequence[str]) -> tuple[list[Access], frozenset[str]]:
    """Return the verdicts about assets, and the scopes that the key lacks for single columns of these."""
    async with KlaviyoClient(key, settings) as client:
        found = await assess_all(client, [catalog[name] for name in names])
        scopes = {scope for name in names for include in optional_includes(catalog[name]) for scope in include.scopes}
        known = {access.entry.scopes: access for access in found}
        # A type that needs only this scope shows whether the key has it, also if it is not among the names.
        others = {(scope,): next(entry for entry in catalog.values() if entry.scopes == (scope,)) for scope in scopes if (scope,) not in known}
        known |= zip(others, await asyncio.gather(*(assess(client, entry) for entry in others.values())), strict=True)
    return found, frozenset(scope for scope in scopes if known[(scope,)].verdict is Verdict.SCOPE_MISSING)


def _by_group(catalog: Catalog, names: Sequence[str]) -> list[str]:
    """Return the names in the order of their groups; all names if there are none."""
    chosen = select(catalog, names) if names else catalog
    groups = list(catalog.groups)
    return sorted(chosen, key=lambda name: groups.index(chosen[name].group))


def _cells(access: Access, missing: Collection[str]) -> tuple[str, ...]:
    """Return a row of the table.

    Args:
        access: The verdict about an asset.
        missing: Scopes that the key lacks for single columns.
    """
    verdict = f"{access.verdict.value} (optional)" if access.optional else access.verdict.value
    words = _null_columns(access, missing) if access.granted else access.advice if access.optional else f"{access.summary} {access.advice}"
    return f"klaviyo/{access.entry.name}", access.entry.group, _scopes(access), verdict, words


def _scopes(access: Access) -> str:
    """Name the scopes of an asset, and those that only some of its columns need."""
    also = {scope: None for include in optional_includes(access.entry) for scope in include.scopes}
    return f"{access.entry.scope_text} (optional: {', '.join(also)})" if also else access.entry.scope_text


def _null_columns(access: Access, missing: Collection[str]) -> str:
    """Say which columns of an asset that can be read are null, and why; empty if none."""
    words = [
        f"{', '.join(columns_of_include(access.entry, include))} is null until a new key also has {' and '.join(include.scopes)}."
        for include in optional_includes(access.entry)
        if not set(missing).isdisjoint(include.scopes)
    ]
    return " ".join(words)


def _summary(found: Sequence[Access]) -> str:
    refused = next((access for access in found if access.verdict is Verdict.KEY_REFUSED), None)
    if refused is not None:
        return f"The API key was refused: {refused.summary}"
    account = next((access.account for access in found if access.account), None)
    owner = f"The API key is valid and belongs to the account {account}." if account else ""
    usable = sum(access.granted for access in found)
    return f"{owner} {usable} of {len(found)} assets can be read. {_skipped(found)}".strip()


def _skipped(found: Sequence[Access]) -> str:
    """Say which assets are skipped, and which scopes a new key needs for all of them."""
    skipped = [access for access in found if access.optional and access.verdict is Verdict.SCOPE_MISSING]
    if not skipped:
        return ""
    names = ", ".join(access.entry.name for access in skipped)
    missing = ", ".join(sorted({scope for access in skipped for scope in access.missing_scopes}))
    return f"Skipped, with a warning, until a new key also has {missing}: {names}."
