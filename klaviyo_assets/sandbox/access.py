"""Access control: the API key, its scopes and the API revision."""

import re
from collections.abc import Mapping
from datetime import date, timedelta

from klaviyo_assets.catalog import REVISION
from klaviyo_assets.sandbox import instants
from klaviyo_assets.sandbox.errors import ApiError, HtmlError
from klaviyo_assets.sandbox.keys import PLAN_GATED_SCOPES, Keys
from klaviyo_assets.sandbox.options import SandboxOptions

_SCHEME = "Klaviyo-API-Key "
_REVISION = re.compile(r"\d{4}-\d\d-\d\d(\.pre)?")
_LIFETIME = timedelta(days=731)
"""A revision is stable for a year, deprecated for another year, then retired."""

_PLAN_GATE = "You must have Advanced KDP enabled to use this endpoint."
"""Klaviyo's actual message."""


def authenticate(headers: Mapping[str, str], keys: Keys, options: SandboxOptions) -> None:
    """Check the API key.

    Raises:
        HtmlError: 400, if the header has another scheme; this response comes from the edge.
        ApiError: 401 or 400 for a missing or unknown key. The recorded response has no rate limit headers.
    """
    header = headers.get("authorization")
    if header is None:
        raise ApiError(401, "not_authenticated", "Authentication credentials were not provided.", "Missing or invalid authorization scheme.")
    if not header.startswith(_SCHEME):
        raise HtmlError(400, "Bad Request")
    if keys.scopes_of(_key(headers)) is None:
        raise _unknown_key(options)


def check_permission(headers: Mapping[str, str], needed: frozenset[str], keys: Keys) -> None:
    """Check that the key has the scopes and the account's plan has the feature.

    Raises:
        ApiError: 403, if not. Such a request counts against the rate limits: each recorded 403 has their headers.
    """
    key = _key(headers)
    if missing := sorted(needed - (keys.scopes_of(key) or frozenset())):
        raise _denied(f"The API key is missing the following scopes: {', '.join(missing)}.")
    if key == keys.plan_gated and needed & PLAN_GATED_SCOPES:
        raise _denied(_PLAN_GATE)


def check_revision(headers: Mapping[str, str], now: int) -> None:
    """Check the API revision; a request with a retired one passes unless it opts out of falling forward to a newer one.

    Raises:
        ApiError: 400 for a missing or invalid revision, 410 for a retired one.
    """
    revision = headers.get("revision")
    if not revision:
        raise ApiError(400, "invalid", "Invalid input.", "The 'revision' header is required.")
    released = _released(revision)
    if released is None or released > date.fromisoformat(REVISION):
        raise ApiError(400, "invalid", "Invalid input.", f"'{revision}' is not a valid API revision.")
    retired = instants.from_micros(now).date() - released > _LIFETIME
    if retired and headers.get("x-klaviyo-revision-fall-forward-opt-out") == "1":
        raise retired_revision(revision)


def retired_revision(revision: str) -> ApiError:
    """Return the 410 for a revision that is no longer served."""
    return ApiError(410, "revision_retired", "Revision retired.", f"The API revision {revision} has been retired.")


def _key(headers: Mapping[str, str]) -> str:
    return headers["authorization"].removeprefix(_SCHEME).strip()


def _released(revision: str) -> date | None:
    if not _REVISION.fullmatch(revision):
        return None
    try:
        return date.fromisoformat(revision.removesuffix(".pre"))
    except ValueError:
        return None


def _unknown_key(options: SandboxOptions) -> ApiError:
    if options.invalid_key_status == 400:
        return ApiError(400, "invalid", "Invalid input.", "Invalid or missing API key")
    return ApiError(401, "authentication_failed", "Incorrect authentication credentials.", "Incorrect authentication credentials.")


def _denied(detail: str) -> ApiError:
    return ApiError(403, "permission_denied", "You do not have permission to perform this action.", detail)
