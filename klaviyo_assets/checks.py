"""Asset checks: what they are called, and from a finding to a check result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from klaviyo_assets.catalog.model import ResourceType

if TYPE_CHECKING:
    from klaviyo_assets.api.access import Access
    from klaviyo_assets.sync.inspect import KeyFindings, UnknownAttributes

API_KEY_VALID = "api_key_valid"
SCOPE_COVERAGE = "scope_coverage"
PRIMARY_KEY = "primary_key"
UNKNOWN_ATTRIBUTES = "unknown_attributes"

ACCESS_CHECKS = (API_KEY_VALID, SCOPE_COVERAGE)
"""Checks that need no materialization before them."""


def check_specs(entry: ResourceType, asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return the checks of a resource type's asset."""
    specs = [
        dg.AssetCheckSpec(SCOPE_COVERAGE, asset=asset, description=f"The API key has the scope {entry.scope}, by one cheap request."),
        dg.AssetCheckSpec(PRIMARY_KEY, asset=asset, description="Every row has an id, and no two rows have the same."),
        dg.AssetCheckSpec(UNKNOWN_ATTRIBUTES, asset=asset, description="Klaviyo sends no attribute that this version does not know (_extra)."),
    ]
    if entry.name == "accounts":
        specs.insert(0, dg.AssetCheckSpec(API_KEY_VALID, asset=asset, description="Klaviyo accepts the API key; says which account it belongs to."))
    return specs


def scope_coverage(access: Access, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report whether the key may read a resource type. A missing scope that users are not told to give only warns."""
    severity = dg.AssetCheckSeverity.WARN if access.optional or access.unclear else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=SCOPE_COVERAGE,
        passed=access.granted,
        severity=severity,
        description=_words(access.summary, access.advice),
        metadata={
            "verdict": access.verdict.value,
            "scope": access.entry.scope,
            "endpoint": access.entry.endpoint.path,
            **_advice(access.advice),
        },
    )


def api_key_valid(access: Access, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report whether Klaviyo accepts the key, from the verdict on accounts.

    A 403 on accounts means that the key is valid but lacks ``accounts:read``: that passes.
    """
    from klaviyo_assets.api.access import Verdict  # a code location names the checks without what they take

    match access.verdict:
        case Verdict.GRANTED:
            passed, severity, state = True, dg.AssetCheckSeverity.ERROR, "valid"
            words = f"Klaviyo accepts the API key; it belongs to the account {access.account}."
        case Verdict.SCOPE_MISSING | Verdict.NOT_IN_PLAN:
            passed, severity, state = True, dg.AssetCheckSeverity.ERROR, "valid"
            words = "Klaviyo accepts the API key. It lacks accounts:read, so which account it belongs to is not known; nothing else needs that."
        case Verdict.KEY_REFUSED:
            passed, severity = False, dg.AssetCheckSeverity.ERROR
            state = "rejected" if access.error is not None and access.error.status else "malformed"
            words = _words(access.summary, access.advice)
        case _:
            passed, severity, state = False, dg.AssetCheckSeverity.WARN, "inconclusive"
            words = _words(f"Could not tell whether the API key is valid. {access.summary}", access.advice)
    metadata = {
        "verdict": state,
        **({"account": access.account} if access.account else {}),
        **(_advice(access.advice) if not passed else {}),
    }
    return dg.AssetCheckResult(asset_key=asset, check_name=API_KEY_VALID, passed=passed, severity=severity, description=words, metadata=metadata)


def primary_key(findings: KeyFindings, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report ids that are null or stand in more than one row."""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=PRIMARY_KEY,
        passed=findings.nulls == 0 and not findings.duplicates,
        description=(
            f"{findings.rows} rows looked at ({'those of this sync' if findings.touched_only else 'the whole table'}): "
            f"{findings.nulls} without an id, {len(findings.duplicates)} ids in more than one row."
            if findings.rows or findings.touched_only
            else "There is nothing to look at: the table is empty or not there yet."
        ),
        metadata={"rows": findings.rows, "nulls": findings.nulls, "duplicates": dg.MetadataValue.json(findings.duplicates[:20])},
    )


def unknown_attributes(unknown: UnknownAttributes, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Warn of attributes that Klaviyo sends and the catalogue does not know."""
    words = "Every attribute has its column."
    if unknown:
        names = ", ".join(f"{name} ({rows} rows)" for name, rows in unknown.items())
        words = (
            f"Klaviyo sends what this version has no column for, or in another type: {names}. It is kept in _extra. "
            "What to do: upgrade klaviyo_assets."
        )
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=UNKNOWN_ATTRIBUTES,
        passed=not unknown,
        severity=dg.AssetCheckSeverity.WARN,
        description=words,
        metadata={"attributes": dg.MetadataValue.json(unknown)},
    )


def _words(summary: str, advice: str) -> str:
    return f"{summary} What to do: {advice}" if advice else summary


def _advice(advice: str) -> dict[str, str]:
    return {"what_to_do": advice} if advice else {}
