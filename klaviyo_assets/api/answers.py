"""From an HTTP answer that is not a success to the error that says what it means.

Sources: https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling for the statuses; matched on status and ``code``, since Klaviyo may
change ``detail`` at any time (https://developers.klaviyo.com/en/docs/api_versioning_and_deprecation_policy).
"""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec

from klaviyo_assets.api.errors import (
    ApiKeyRejected,
    BadRequest,
    CursorRefused,
    EdgeBlocked,
    KlaviyoError,
    NotFound,
    PlanGate,
    RateLimited,
    RequestRefused,
    RevisionRetired,
    ScopeMissing,
    ServerFault,
)

_KEY_TROUBLE = {"authentication_failed", "not_authenticated"}


def error_from(response: httpx.Response, scope: str) -> KlaviyoError:
    """Return the error that an unsuccessful answer stands for.

    Args:
        response: The answer, read to its end.
        scope: The scope that the endpoint takes, for the message about a missing one.
    """
    endpoint = f"{response.request.method} {response.request.url.path}"
    error = first_error(response)
    code, detail = error.get("code"), error.get("detail") or error.get("title")
    facts: dict[str, Any] = {"endpoint": endpoint, "status": response.status_code, "code": code, "detail": detail}
    match response.status_code:
        case 401:
            return ApiKeyRejected("Klaviyo does not accept the API key.", **facts)
        case 400 if _is_about_the_key(response, code, detail):
            return ApiKeyRejected("Klaviyo does not accept the API key.", **facts)
        case 400 if "page[cursor]" in response.request.url.params:
            return CursorRefused("Klaviyo does not take the cursor of its own link any more.", **facts)
        case 400:
            return BadRequest("Klaviyo refuses the request.", **facts)
        case 403:
            return _denied(response, scope, facts)
        case 404:
            return NotFound("Klaviyo has no such record.", **facts)
        case 410:
            return RevisionRetired("Klaviyo no longer serves the API revision that this version uses.", **facts)
        case 429:
            return RateLimited(retry_after(response), endpoint=endpoint, detail=detail)
        case status if status >= 500:
            return ServerFault("Klaviyo could not answer.", **facts)
        case _:
            return RequestRefused("Klaviyo gave an answer that was not expected.", **facts)


def _denied(response: httpx.Response, scope: str, facts: dict[str, Any]) -> KlaviyoError:
    if facts["code"] is None:
        return EdgeBlocked("The request was blocked before it reached Klaviyo's API.", **facts)
    if facts["code"] == "permission_denied" and not _is_plan_gate(facts["detail"]):
        return ScopeMissing(scope, endpoint=facts["endpoint"], detail=facts["detail"])
    return PlanGate("The API key is valid, but the account's plan does not include this.", **facts)


def _is_plan_gate(detail: str | None) -> bool:
    """Tell a plan gate from a missing scope; both come as permission_denied, so the words must decide.

    Seen: "You must have Advanced KDP enabled to use this endpoint." Without such words a scope is the likelier cause.
    """
    text = (detail or "").lower()
    return any(word in text for word in ("enabled", "plan", "upgrade", "subscribe", "billing")) and "scope" not in text


def _is_about_the_key(response: httpx.Response, code: str | None, detail: str | None) -> bool:
    """Klaviyo documents 400 as well as 401 for a key that it does not accept; a malformed header is answered with 400 and HTML."""
    if code in _KEY_TROUBLE or "api key" in (detail or "").lower():
        return True
    return code is None and "html" in response.headers.get("content-type", "")


def first_error(response: httpx.Response) -> dict[str, str]:
    """Return the texts of the first member of ``errors`` in a JSON:API error document, or an empty dictionary."""
    try:
        document = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    errors = document.get("errors") if isinstance(document, dict) else None
    error = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return {name: value for name, value in error.items() if isinstance(value, str)}


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which may be a number or a date (RFC 9110), or None."""
    text = response.headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        date = _http_date(text)
        seconds = (date - (server_time(response) or datetime.now(UTC))).total_seconds() if date else math.nan
    return max(0.0, seconds) if math.isfinite(seconds) else None


def server_time(response: httpx.Response) -> datetime | None:
    """Return the server's clock (``Date`` header, whole seconds, UTC), or None where the header is missing or no date."""
    return _http_date(response.headers.get("date", ""))


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        # The zone -0000 means UTC too, but comes out as none.
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
