"""Checks what a key may read: one cheap probe per resource type, with one verdict each."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from klaviyo_assets._internal.sanitize import one_line
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.klaviyo_errors import (
    AccessDenied,
    AccountDisabled,
    ApiKeyError,
    Conflict,
    ConnectionFailed,
    EdgeBlocked,
    InvalidNetworkSetting,
    KlaviyoError,
    NotFound,
    PlanGate,
    QuotaUsedUp,
    RateLimited,
    Redirected,
    RequestRefused,
    RevisionRetired,
    ScopeMissing,
    ServerFault,
)
from klaviyo_assets.api.probe import probe
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.scopes import scopes_in_words


class Verdict(StrEnum):
    """Whether a key may read a resource type."""

    GRANTED = "granted"
    UNKNOWN = "unknown"
    """A child type without parents: its endpoint cannot be requested."""
    SCOPE_MISSING = "scope missing"
    NOT_IN_PLAN = "not in the plan"
    KEY_REFUSED = "key refused"
    QUOTA_USED_UP = "limit used up"
    ACCOUNT_DISABLED = "account disabled"
    ACCESS_REFUSED = "access refused"
    BLOCKED = "blocked"
    RATE_LIMITED = "rate limited"
    REQUEST_REFUSED = "request refused"
    NOT_FOUND = "not found"
    CONFLICT = "conflict"
    REVISION_RETIRED = "revision retired"
    REDIRECTED = "redirected"
    SERVER_FAULT = "server fault"
    UNUSABLE_RESPONSE = "unusable response"
    UNREACHABLE = "unreachable"
    SETTING_UNUSABLE = "setting unusable"


_UNCLEAR = {
    Verdict.QUOTA_USED_UP,
    Verdict.BLOCKED,
    Verdict.RATE_LIMITED,
    Verdict.CONFLICT,
    Verdict.SERVER_FAULT,
    Verdict.UNUSABLE_RESPONSE,
    Verdict.UNREACHABLE,
    Verdict.SETTING_UNUSABLE,
}
"""Temporary verdicts: they can change without a change of the settings, the key or the account."""

_MAY_BE_OPTIONAL = {Verdict.SCOPE_MISSING, Verdict.NOT_IN_PLAN}
"""Verdicts about what the key or the account's plan lacks."""

_VALID_KEY = {Verdict.GRANTED, Verdict.UNKNOWN, Verdict.SCOPE_MISSING, Verdict.NOT_IN_PLAN, Verdict.QUOTA_USED_UP, Verdict.ACCESS_REFUSED}
"""Verdicts that Klaviyo gives only for a valid key: it responds to any other key with 401 or 400."""

_VERDICTS: tuple[tuple[type[KlaviyoError], Verdict], ...] = (
    (ApiKeyError, Verdict.KEY_REFUSED),
    (ScopeMissing, Verdict.SCOPE_MISSING),
    (PlanGate, Verdict.NOT_IN_PLAN),
    (QuotaUsedUp, Verdict.QUOTA_USED_UP),
    (AccountDisabled, Verdict.ACCOUNT_DISABLED),
    (EdgeBlocked, Verdict.BLOCKED),
    (AccessDenied, Verdict.ACCESS_REFUSED),
    (NotFound, Verdict.NOT_FOUND),
    (Conflict, Verdict.CONFLICT),
    (RevisionRetired, Verdict.REVISION_RETIRED),
    (Redirected, Verdict.REDIRECTED),
    (RequestRefused, Verdict.REQUEST_REFUSED),
    (RateLimited, Verdict.RATE_LIMITED),
    (ServerFault, Verdict.SERVER_FAULT),
    (ConnectionFailed, Verdict.UNREACHABLE),
    (InvalidNetworkSetting, Verdict.SETTING_UNUSABLE),
)
"""The verdict for each error class, subclasses first; any other error means an unusable response."""


@dataclass(frozen=True)
class Access:
    """A verdict and what to do about it.

    Attributes:
        entry: The resource type.
        verdict: The verdict.
        summary: What happened, one sentence.
        advice: What to do next; empty if nothing.
        error: The error of the probe; None if access is granted or unknown.
        account: For the type accounts, if granted: organization and id.
        missing_scopes: The scopes that a new key must have as well, if scopes are missing.
    """

    entry: ResourceType
    verdict: Verdict
    summary: str
    advice: str = ""
    error: KlaviyoError | None = None
    account: str | None = None
    missing_scopes: tuple[str, ...] = ()

    @property
    def granted(self) -> bool:
        """True if the resource type can be read."""
        return self.verdict is Verdict.GRANTED

    @property
    def unknown(self) -> bool:
        """True if there is no endpoint to probe; a sync would have nothing to read either."""
        return self.verdict is Verdict.UNKNOWN

    @property
    def optional(self) -> bool:
        """True if only an optional scope or feature is missing: the asset is skipped, and nothing else is affected."""
        return self.verdict in _MAY_BE_OPTIONAL and self.entry.has_optional_scope

    @property
    def unclear(self) -> bool:
        """True if the probe did not show whether the key has access."""
        return self.verdict in _UNCLEAR

    def limited_by(self, others: "Iterable[Access]", granted: "Collection[str]" = ()) -> "Access":
        """Return the verdict about a type whose sync also reads other types: its own if that is not granted, else the first of theirs that is not.

        Args:
            others: The verdicts about the other types.
            granted: Scopes that the key has: where Klaviyo does not say which of several is missing, it is none of these.
        """
        refused = [access for access in (self, *others) if not access.granted]
        error = next((access.error for access in refused if access.error is not None), None)
        if self.unknown or error is None:
            return self
        missing = dict.fromkeys(scope for access in refused for scope in access.missing_scopes)
        return access_from(error, self.entry, [scope for scope in missing if scope not in granted] or missing)

    @property
    def key_is_valid(self) -> bool:
        """True if the response shows that Klaviyo accepts the key, whether or not it has access here."""
        return self.verdict in _VALID_KEY


async def assess(client: KlaviyoClient, entry: ResourceType) -> Access:
    """Probe a resource type's endpoint and return whether the key may read it. Does not raise errors of the client.

    The types that a sync of it also reads are not requested; see :func:`assess_all`.
    """
    try:
        document = await probe(client, entry)
    except KlaviyoError as error:
        return access_from(error, entry)
    if document is None:
        parents = entry.required_parent.type_name
        summary = f"There are no {parents} yet, so it is unknown whether the key may read {entry.name} ({entry.scope_text})."
        return Access(entry, Verdict.UNKNOWN, summary, f"Nothing: it is checked once there are {parents}.")
    account = _account(document) if entry.identifies_account else None
    return Access(entry, Verdict.GRANTED, f"The key may read {entry.name} ({entry.scope_text}).", account=account)


async def assess_all(client: KlaviyoClient, entries: Iterable[ResourceType]) -> list[Access]:
    """Return whether the key may read each type and what its sync also reads. Each endpoint is requested once.

    A report, for example, needs the account's time zone, so a key without ``accounts:read`` cannot sync it.
    """
    wanted = list(entries)
    requested = {entry.name: entry for one in wanted for entry in (one, *one.also_reads)}
    found = dict(zip(requested, await asyncio.gather(*(assess(client, entry) for entry in requested.values())), strict=True))
    granted = {scope for access in found.values() if access.granted for scope in access.entry.endpoint_scopes}
    return [found[entry.name].limited_by([found[other.name] for other in entry.also_reads], granted) for entry in wanted]


def access_from(error: KlaviyoError, entry: ResourceType, missing_scopes: Iterable[str] = ()) -> Access:
    """Return the verdict that an error maps to.

    Args:
        error: The error.
        entry: The resource type.
        missing_scopes: The scopes that the key lacks, if more is known about them than the error says.
    """
    verdict = next((verdict for kind, verdict in _VERDICTS if isinstance(error, kind)), Verdict.UNUSABLE_RESPONSE)
    advice = error.advice
    missing = tuple(missing_scopes) or (error.scopes if isinstance(error, ScopeMissing) else ())
    if verdict in _MAY_BE_OPTIONAL and entry.has_optional_scope:
        also = f"create a new key that also has {scopes_in_words(missing)}" if missing else "add the product in Klaviyo's billing"
        advice = f"No action is needed: {entry.name} is skipped, and no other asset fails because of that. To sync it as well, {also}."
    return Access(entry, verdict, error.message, advice, error, missing_scopes=missing)


class _Contact(msgspec.Struct):
    organization_name: str | None = None


class _Attributes(msgspec.Struct):
    contact_information: _Contact | None = None


class _Account(msgspec.Struct):
    id: str
    attributes: _Attributes | None = None


class _Accounts(msgspec.Struct):
    """The parts of the accounts endpoint's response that identify the account."""

    data: list[_Account]


def _account(document: dict[str, object]) -> str | None:
    """Return the account's organization and id; None if the response does not have the documented form."""
    try:
        (record,) = msgspec.convert(document, _Accounts).data
    except (msgspec.ValidationError, ValueError):
        return None
    contact = record.attributes.contact_information if record.attributes else None
    name = contact.organization_name if contact else None
    return one_line(f"{name} ({record.id})" if name else record.id)
