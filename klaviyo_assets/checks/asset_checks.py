"""Asset checks: their names and specs, and the conversion of findings into check results."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import dagster as dg

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets._internal.sanitize import one_line
from klaviyo_assets.catalog.resource_type import ResourceType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from klaviyo_assets.api.scope_check import Access
    from klaviyo_assets.audit.audit_tables import AuditRecord
    from klaviyo_assets.audit.compare import Difference
    from klaviyo_assets.quality.drift import Drift
    from klaviyo_assets.quality.inspector import KeyFindings

API_KEY_VALID = "api_key_valid"
SCOPE_COVERAGE = "scope_coverage"
PRIMARY_KEY = "primary_key"
UNKNOWN_ATTRIBUTES = "unknown_attributes"
SCHEMA_DRIFT = "schema_drift"
COMPLETE = "complete"
INCLUDED_COMPLETE = "included_complete"

_UPGRADE = "upgrade klaviyo_assets"
_ROWS_SHOWN = 100
_MAX_NAME_LENGTH = 100

ACCESS_CHECKS = (API_KEY_VALID, SCOPE_COVERAGE)
"""Checks that can run before any materialization."""

TABLE_CHECKS = (PRIMARY_KEY, UNKNOWN_ATTRIBUTES, SCHEMA_DRIFT, INCLUDED_COMPLETE)
"""Checks of the table's rows."""


def check_specs(entry: ResourceType, asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return the checks of a resource type's asset."""
    specs = [
        dg.AssetCheckSpec(SCOPE_COVERAGE, asset=asset, description=f"The API key has the scope {entry.scope_text}; checked with one small request."),
        dg.AssetCheckSpec(PRIMARY_KEY, asset=asset, description="Every row has a primary key, and no two rows have the same one."),
        dg.AssetCheckSpec(UNKNOWN_ATTRIBUTES, asset=asset, description="Klaviyo sends no attributes without a column (see _extra)."),
        dg.AssetCheckSpec(SCHEMA_DRIFT, asset=asset, description="Values, nulls and texts match Klaviyo's schema."),
    ]
    if entry.counted_by is not None:
        counts = f"The table has as many {entry.name} as Klaviyo counts, for each metric and each day that is more than three days old."
        specs.append(dg.AssetCheckSpec(COMPLETE, asset=asset, description=counts))
    if entry.host is not None or entry.included_columns:
        words = "Klaviyo's responses included every resource that they name; the last sync had to fetch none by itself."
        specs.append(dg.AssetCheckSpec(INCLUDED_COMPLETE, asset=asset, description=words))
    if entry.identifies_account:
        specs.insert(0, dg.AssetCheckSpec(API_KEY_VALID, asset=asset, description="Klaviyo accepts the API key. The result names the key's account."))
    return specs


def scope_coverage(access: Access, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report whether the key can read a resource type. A missing optional scope only warns."""
    severity = dg.AssetCheckSeverity.WARN if access.optional or access.unclear or access.unknown else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=SCOPE_COVERAGE,
        passed=access.granted,
        severity=severity,
        description=_words(access.summary, access.advice),
        metadata={
            "verdict": access.verdict.value,
            "scope": access.entry.scope_text,
            "endpoint": access.entry.endpoint.path,
            **_advice(access.advice),
        },
    )


def api_key_valid(access: Access, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report whether Klaviyo accepts the key, from the verdict on accounts.

    A 403 of the API for accounts still shows that the key is valid: the check passes, unless the account is disabled.
    """
    from klaviyo_assets.api.scope_check import Verdict  # a code location loads check names without the client

    match access.verdict:
        case Verdict.GRANTED:
            passed, severity, state = True, dg.AssetCheckSeverity.ERROR, "valid"
            owner = f"it belongs to the account {access.account}" if access.account else "the response does not name its account"
            words = f"Klaviyo accepts the API key; {owner}."
        case Verdict.SCOPE_MISSING:
            passed, severity, state = True, dg.AssetCheckSeverity.ERROR, "valid"
            words = "Klaviyo accepts the API key. It lacks accounts:read, so its account is unknown. Besides accounts, only reports need that scope."
        case _ if access.key_is_valid:
            passed, severity, state = True, dg.AssetCheckSeverity.ERROR, "valid"
            words = f"Klaviyo accepts the API key, but its account is unknown. {access.summary}"
        case Verdict.ACCOUNT_DISABLED:
            passed, severity, state = False, dg.AssetCheckSeverity.ERROR, "account disabled"
            words = _words(access.summary, access.advice)
        case Verdict.KEY_REFUSED:
            passed, severity = False, dg.AssetCheckSeverity.ERROR
            state = "rejected" if access.error is not None and access.error.status else "malformed"
            words = _words(access.summary, access.advice)
        case _:
            passed, severity, state = False, dg.AssetCheckSeverity.WARN, "inconclusive"
            words = _words(f"The check could not find out whether the API key is valid. {access.summary}", access.advice)
    metadata = {
        "verdict": state,
        **({"account": access.account} if access.account else {}),
        **(_advice(access.advice) if not passed else {}),
    }
    return dg.AssetCheckResult(asset_key=asset, check_name=API_KEY_VALID, passed=passed, severity=severity, description=words, metadata=metadata)


def primary_key(findings: KeyFindings, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report primary keys that are null or not unique."""
    shown = [one_line(id_, _MAX_NAME_LENGTH) for id_ in findings.duplicates[:20]]
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=PRIMARY_KEY,
        passed=findings.nulls == 0 and not findings.duplicates,
        description=(
            f"{findings.rows:,} rows checked ({'those of this sync' if findings.touched_only else 'the whole table'}): "
            f"{findings.nulls:,} without a key, {len(findings.duplicates):,} keys in more than one row."
        ),
        metadata={
            "rows": findings.rows,
            "nulls": findings.nulls,
            "duplicates": dg.MetadataValue.json(shown),
        },
    )


def unknown_attributes(unknown: Sequence[Drift], asset: dg.AssetKey, own_type: str | None = None) -> dg.AssetCheckResult:
    """Warn about attributes that the catalog does not know or that have another type.

    Args:
        unknown: The attributes.
        asset: Key of the asset.
        own_type: Name of the resource type if it comes from the user's own code.
    """
    words = "Every attribute has a column."
    if unknown:
        names = ", ".join(f"{one_line(one.attribute, _MAX_NAME_LENGTH)} ({one.rows:,} rows)" for one in unknown)
        where = f"in the resource type {own_type}" if own_type else "in this version"
        advice = f"add columns for them to {own_type}, or correct their types; list what you do not need in unmapped" if own_type else _UPGRADE
        words = (
            f"Klaviyo sends attributes that have no column {where} or that have another type: {names}. They are stored in _extra. "
            f"What to do: {advice}."
        )
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=UNKNOWN_ATTRIBUTES,
        passed=not unknown,
        severity=dg.AssetCheckSeverity.WARN,
        description=words,
        metadata={"attributes": dg.MetadataValue.table(_drift_records(unknown), _DRIFT_SCHEMA)} if unknown else {},
    )


def schema_drift(drifts: Sequence[Drift], asset: dg.AssetKey, own_type: str | None = None) -> dg.AssetCheckResult:
    """Warn about values that violate Klaviyo's schema, attributes that disappeared, and text that had to be changed.

    Args:
        drifts: What differs.
        asset: Key of the asset.
        own_type: Name of the resource type if it comes from the user's own code.
    """
    words = "The records match Klaviyo's schema."
    if drifts:
        names = ", ".join(f"{one_line(one.attribute, _MAX_NAME_LENGTH)}: {one.kind} ({one.rows:,} rows)" for one in drifts)
        schema = f"the columns of the resource type {own_type}" if own_type else "its schema"
        advice = f"correct required, values or the type of these columns of {own_type}" if own_type else _UPGRADE
        words = (
            f"Klaviyo's records do not match {schema}: {names}. They are stored as received. "
            f"What to do: check whether your queries rely on them, and {advice}."
        )
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=SCHEMA_DRIFT,
        passed=not drifts,
        severity=dg.AssetCheckSeverity.WARN,
        description=words,
        metadata={"drift": dg.MetadataValue.table(_drift_records(drifts), _DRIFT_SCHEMA)} if drifts else {},
    )


def included_complete(fetched: int | None, incomplete: int, entry: ResourceType, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report resources that Klaviyo's responses named but did not include.

    Args:
        fetched: Records that the last successful sync fetched by id for that reason; None if it is not known.
        incomplete: Rows that name resources which are not stored.
        entry: The resource type.
        asset: Key of the asset.
    """
    if fetched is None and not incomplete:
        return _not_recorded(entry, asset)
    names = " and ".join(dict.fromkeys(column.path[1] for column in entry.included_columns))
    sentences = [f"The responses for {entry.name} included all {names} that they name."] if not fetched and not incomplete else []
    if fetched:
        sentences.append(f"The responses lacked the {names} of {fetched:,} {entry.name}; the last sync fetched each of these by its id.")
    if incomplete:
        sentences.append(f"{incomplete:,} rows name {names} that are not stored. What to do: run a sync; it requests up to 1,000 of them again.")
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=INCLUDED_COMPLETE,
        passed=not fetched and not incomplete,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(sentences),
        metadata={"fetched": fetched or 0, "missing": incomplete},
    )


def host_complete(fetched: int | None, entry: ResourceType, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report how many records the responses of the host named but did not include.

    Args:
        fetched: Their number in the last successful sync; None if none has recorded it.
        entry: The resource type.
        asset: Key of the asset.
    """
    host = entry.required_host.entry.name
    if fetched is None:
        return _not_recorded(entry, asset)
    words = f"The responses for {host} included every record that they name."
    if fetched:
        words = (
            f"The responses for {host} named {fetched:,} records without including them. The sync fetched each by itself, so the table is complete. "
            "What to do: nothing; if syncs take long because of it, report it."
        )
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=INCLUDED_COMPLETE,
        passed=not fetched,
        severity=dg.AssetCheckSeverity.WARN,
        description=words,
        metadata={"fetched": fetched},
    )


def _not_recorded(entry: ResourceType, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report that no sync has recorded what responses lacked: none has succeeded yet, an earlier version has run it, or the record is lost."""
    return nothing_to_check(INCLUDED_COMPLETE, f"No successful sync of {entry.name} has recorded yet what the responses lacked.", asset)


def nothing_to_check(name: str, why: str, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report that there are no rows to check, and why.

    The check passes, since no row is wrong; whether the table should have rows is a matter of the sync.
    """
    return dg.AssetCheckResult(asset_key=asset, check_name=name, passed=True, description=f"Nothing to check. {why}", metadata={"rows": 0})


def unreadable(name: str, error: Exception, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report that a check could not read the table."""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"The table could not be read: {one_line(redact(str(error)))}",
        metadata={"error": type(error).__name__},
    )


_DRIFT_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("attribute", "string"),
        dg.TableColumn("what", "string", description="What differs."),
        dg.TableColumn("expected", "string"),
        dg.TableColumn("rows", "int"),
        dg.TableColumn("example_id", "string", description="Id of a row that differs."),
        dg.TableColumn("example", "string", description="Its value; only its type if it may identify a person."),
    ]
)


def _drift_records(drifts: Sequence[Drift]) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "attribute": one_line(one.attribute, _MAX_NAME_LENGTH),
                "what": one.kind.value,
                "expected": one.expected,
                "rows": one.rows,
                "example_id": one_line(one.example_id or "", _MAX_NAME_LENGTH),
                "example": one_line(one.example or ""),
            }
        )
        for one in drifts[:_ROWS_SHOWN]
    ]


def complete(record: AuditRecord, found: Sequence[Difference], names: Mapping[str, str], asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report the last audit's findings: fail while a repair can still fix days that differ, warn about days that differ even after a repair.

    Args:
        record: What the audit compared.
        found: Days that differ.
        names: Names of metrics by id.
        asset: Key of the events' asset.
    """
    by_state = Counter(one.state.value for one in found)
    todo, unresolved = by_state["mismatch"], by_state["unresolved"]
    read_again = sum(one.state.value == "reread_pending" and one.reread_at is not None for one in found)
    pending = by_state["reread_pending"] - read_again
    sentences = [f"{record.days:,} days of {record.metrics:,} metrics were compared with Klaviyo's own counts."]
    if todo:
        sentences.append(f"{todo:,} differ. What to do: run the repair job; it reads only those days again.")
    if pending:
        sentences.append(f"{pending:,} are pending: the next sync of events reads them again, and the next audit compares them.")
    if read_again:
        sentences.append(f"{read_again:,} have been read again since. What to do: run the audit or the repair job; it compares them.")
    if unresolved:
        sentences.append(f"{unresolved:,} still differ after they were read again: Klaviyo's counts and its list of events do not match.")
    if record.lost:
        sentences.append(f"{record.lost:,} more differed, but the table _audit_days no longer has them. What to do: run the audit job again.")
    if not found and not record.lost:
        sentences.append("None differs." if record.days else "There were no days to compare.")
    if record.excluded:
        sentences.append("Some days could not be compared; see excluded for the days and reasons.")
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=COMPLETE,
        passed=not found and not record.lost,
        severity=dg.AssetCheckSeverity.WARN if len(found) == unresolved and not record.lost else dg.AssetCheckSeverity.ERROR,
        description=" ".join(sentences),
        metadata={
            "audited_at": dg.MetadataValue.timestamp(record.audited_at),
            "days_compared": record.days,
            "metrics_compared": record.metrics,
            "requests": record.requests,
            "differing": len(found),
            "missing_events": sum(max(0, one.klaviyo_count - one.table_count) for one in found),
            "surplus_events": sum(max(0, one.table_count - one.klaviyo_count) for one in found),
            **({"days": _table_of(found, names)} if found else {}),
            **({"excluded": dg.MetadataValue.json(record.excluded)} if record.excluded else {}),
        },
    )


def could_not_audit(reason: str, asset: dg.AssetKey) -> dg.AssetCheckResult:
    """Report that Klaviyo's counts could not be read, with the reason and what to do."""
    words = f"Nothing could be compared. {reason}"
    return dg.AssetCheckResult(asset_key=asset, check_name=COMPLETE, passed=False, severity=dg.AssetCheckSeverity.WARN, description=words)


def _table_of(found: Sequence[Difference], names: Mapping[str, str]) -> dg.TableMetadataValue:
    """Show differing days, those that can be repaired first."""
    order = {"mismatch": 0, "reread_pending": 1, "unresolved": 2}
    shown = sorted(found, key=lambda one: (order[one.state.value], one.day))[:_ROWS_SHOWN]
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord(
                {
                    "day": one.day.isoformat(),
                    "metric": one_line(names.get(one.metric_id, one.metric_id), _MAX_NAME_LENGTH),
                    "Klaviyo": one.klaviyo_count,
                    "here": one.table_count,
                    "missing": one.klaviyo_count - one.table_count,
                    "state": one.state.value,
                }
            )
            for one in shown
        ]
    )


def _words(summary: str, advice: str) -> str:
    return f"{summary} What to do: {advice}" if advice else summary


def _advice(advice: str) -> dict[str, str]:
    return {"what_to_do": advice} if advice else {}
