"""Decodes HTTP responses and maps unsuccessful ones to exceptions.

Statuses: https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling. Errors are matched on status and ``code``, since Klaviyo may change
``detail`` at any time (https://developers.klaviyo.com/en/docs/api_versioning_and_deprecation_policy). Only a 403 also needs ``detail``: see
:mod:`klaviyo_assets.api.denials`.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import msgspec

from klaviyo_assets.api.auth import named_origin
from klaviyo_assets.api.denials import Denial, denial_of
from klaviyo_assets.api.error_body import ErrorBody, first_error_of, read_error
from klaviyo_assets.api.klaviyo_errors import (
    AccessRefused,
    AccountDisabled,
    ApiKeyRejected,
    BadRequest,
    Conflict,
    CursorRefused,
    EdgeBlocked,
    EdgeRateLimited,
    InvalidResponse,
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

T = TypeVar("T")

_COMPLETE = {200, 201, 203}
"""Statuses with the complete requested document as body."""

_KEY_ERROR_CODES = {"authentication_failed", "not_authenticated"}

_PROXY_SIGN_IN = "Put them into the proxy's URL, such as HTTPS_PROXY=http://user:password@proxy.example:3128, or bypass the proxy (NO_PROXY)."

_LIKELY_CAUSE = {
    "permission_denied": "Most often a scope is missing: create a new private API key that has {scope} and set KLAVIYO_API_KEY to it.",
    "forbidden": "Most often the account's plan does not include it: leave the asset out, or add the product in Klaviyo's billing.",
}
"""Advice for a 403 with an unrecognized error text, by Klaviyo's code."""

_SCOPE_IN_TEXT = re.compile(r"[a-z][a-z-]*:[a-z]+")

_CURSORS = frozenset({"page[cursor]", "page_cursor"})
"""Query parameters with the cursor of a page link; reports use the second (OpenAPI)."""

_REDIRECT_TARGET = "X-Redirect-Target"


async def set_redirect_aside(response: httpx.Response) -> None:
    """Move the target of a redirect to a header that httpx does not read (a response hook).

    httpx parses ``Location`` even if it does not follow redirects, and raises its own errors if it is not a URL.
    """
    if "location" in response.headers:
        response.headers[_REDIRECT_TARGET] = response.headers.pop("location")


def decoded(response: httpx.Response, scope: str, decode: Callable[[bytes], T]) -> T:
    """Return the decoded document of a response.

    Raises:
        KlaviyoError: The error that the response maps to; :class:`InvalidResponse` if it is not a complete document.
    """
    if not response.is_success:
        raise error_from(response, scope)
    facts: dict[str, Any] = {"endpoint": endpoint_of(response), "status": response.status_code}
    if response.status_code not in _COMPLETE:
        raise InvalidResponse("Klaviyo's response is not a complete document.", detail=response.reason_phrase, **facts)
    if (reported := _errors_in(response)) is not None:
        raise reported
    try:
        return decode(response.content)
    # Before version 0.21, msgspec's errors do not derive from ValueError.
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        # The parser's message may quote the body, so it is not shown.
        raise InvalidResponse(
            f"Klaviyo's response is not the JSON that was expected{_kind_of(response)}.", detail=_words_of(response), **facts
        ) from error


def _kind_of(response: httpx.Response) -> str:
    """Describe what was received instead of JSON, if it is obvious. The position of an error in a page is added elsewhere."""
    body = response.content.lstrip()
    if not body:
        return ": it is empty"
    return ": it is an HTML page" if body.startswith(b"<") else ""


def _words_of(response: httpx.Response) -> str | None:
    """Return the title of an HTML page, else the content type."""
    title = read_error(response).detail if response.content.lstrip().startswith(b"<") else None
    return title or response.headers.get("content-type")


def error_from(response: httpx.Response, scope: str) -> KlaviyoError:
    """Return the error that an unsuccessful response maps to.

    Args:
        response: The response, read to its end.
        scope: The scopes that the endpoint needs, as text, for the message about a missing scope.
    """
    error = read_error(response)
    facts: dict[str, Any] = {"endpoint": endpoint_of(response), "status": response.status_code, "code": error.code, "detail": error.detail}
    match response.status_code:
        case 401:
            return ApiKeyRejected("Klaviyo does not accept the API key.", **facts)
        case 400 if _is_about_the_key(response, error):
            return ApiKeyRejected("Klaviyo does not accept the API key.", **facts)
        case 400 if not _CURSORS.isdisjoint(response.request.url.params):
            return CursorRefused("Klaviyo no longer accepts the cursor of its own link.", **facts)
        case 400:
            return BadRequest("Klaviyo refuses the request.", **facts)
        case 403:
            return _denied(response, error, scope, facts)
        case 404:
            return _not_found(error, facts)
        case 407:
            return RequestRefused("A proxy on the way to Klaviyo requires a user and a password.", advice=_PROXY_SIGN_IN, **facts)
        case 409:
            return Conflict("The request conflicts with something at Klaviyo.", **facts)
        case 410:
            return RevisionRetired("Klaviyo no longer serves the API revision that this version uses.", **facts)
        case 429:
            return _rate_limited(response, error, facts)
        case status if 300 <= status < 400:
            return Redirected(_target(response), endpoint=facts["endpoint"], status=status, detail=error.detail)
        case 408 | 425:
            return ServerFault("Klaviyo did not process the request.", retry_after=retry_after(response), now=_sent_at(response), **facts)
        case status if status >= 500:
            return ServerFault("Klaviyo could not process the request.", retry_after=retry_after(response), now=_sent_at(response), **facts)
        case _:
            return RequestRefused("Klaviyo sent an unexpected response.", **facts)


def endpoint_of(response: httpx.Response) -> str:
    """Return the method and path of the request, such as ``GET /api/events``."""
    return f"{response.request.method} {response.request.url.path}"


def _errors_in(response: httpx.Response) -> InvalidResponse | None:
    """Return an error if a response with a success status has ``errors`` in its document, else None.

    JSON:API forbids ``errors`` together with ``data``; a page with both may be incomplete.
    """
    if b'"errors"' not in response.content:
        return None
    try:
        found = first_error_of({"errors": msgspec.json.decode(response.content, type=_Envelope).errors})
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # the page decoder reports the error
    if found is None:
        return None
    return InvalidResponse(
        "Klaviyo's response reports errors, so it is not complete.",
        endpoint=endpoint_of(response),
        status=response.status_code,
        code=found.code,
        detail=found.detail,
    )


class _Envelope(msgspec.Struct):
    errors: Any = None


def _rate_limited(response: httpx.Response, error: ErrorBody, facts: dict[str, Any]) -> RateLimited:
    kind = EdgeRateLimited if error.rate_limited else RateLimited
    return kind(retry_after(response), now=_sent_at(response), **facts)


def _denied(response: httpx.Response, error: ErrorBody, scope: str, facts: dict[str, Any]) -> KlaviyoError:
    if not error.from_api:
        if error.rate_limited:
            return _rate_limited(response, error, facts)
        return EdgeBlocked("The request was blocked before it reached Klaviyo's API.", **facts)
    match denial_of(error.code, error.detail):
        case Denial.SCOPE:
            return ScopeMissing(_missing(scope, error.detail), endpoint=facts["endpoint"], code=error.code, detail=error.detail)
        case Denial.PLAN:
            return PlanGate("The API key is valid, but the account's plan does not include this.", **facts)
        case Denial.QUOTA:
            return QuotaUsedUp("The API key is valid, but a limit of the account is used up.", **facts)
        case Denial.ACCOUNT_DISABLED:
            return AccountDisabled("The Klaviyo account of this API key is disabled or suspended.", **facts)
        case Denial.UNKNOWN:
            likely = _LIKELY_CAUSE.get(error.code or "", "Most often a scope of the key is missing, or the account's plan does not include it.")
            advice = f"Read Klaviyo's message. {likely.format(scope=scope)}"
            return AccessRefused("The API key is valid, but Klaviyo refuses access.", advice=advice, **facts)


def _missing(needed: str, detail: str | None) -> str:
    """Return those of the needed scopes that Klaviyo's text names; all of them if it names none."""
    named = [scope for scope in _SCOPE_IN_TEXT.findall(needed) if scope in _SCOPE_IN_TEXT.findall(detail or "")]
    return " and ".join(named) or needed


def _not_found(error: ErrorBody, facts: dict[str, Any]) -> NotFound:
    if error.from_api:
        return NotFound("Klaviyo has no such record.", **facts)
    return NotFound(
        "There is no such endpoint at the configured address.",
        advice="Check KLAVIYO_BASE_URL: it must be https://a.klaviyo.com, without a path. If it is right, try again later.",
        **facts,
    )


def _is_about_the_key(response: httpx.Response, error: ErrorBody) -> bool:
    """Return whether a 400 is about the key. Klaviyo documents 400 and 401 for a rejected key; a malformed header gets a 400 with HTML."""
    if error.code in _KEY_ERROR_CODES or "api key" in (error.detail or "").lower():
        return True
    return not error.from_api and "html" in response.headers.get("content-type", "")


def _target(response: httpx.Response) -> str | None:
    """Return the scheme, host and path of a redirect's target. Its user, password and query may contain secrets."""
    location = response.headers.get(_REDIRECT_TARGET, "")
    if not location:
        return None
    try:
        target = response.request.url.join(location)
        return f"{named_origin(target)}{target.path}"
    except (httpx.InvalidURL, ValueError):
        return "something that is not a URL"


def _sent_at(response: httpx.Response) -> datetime:
    return server_time(response) or datetime.now(UTC)


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which may be a number or a date (RFC 9110); None without a valid one."""
    text = response.headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        date = _http_date(text)
        seconds = (date - _sent_at(response)).total_seconds() if date else math.nan
    return max(0.0, seconds) if math.isfinite(seconds) else None


def rejected_for(response: httpx.Response) -> float | None:
    """Return the ``Retry-After`` seconds of a 429, None for other responses; 0 for HTML, which comes from the network edge."""
    if response.status_code != 429:
        return None
    return 0.0 if "html" in response.headers.get("content-type", "") else retry_after(response) or 0.0


def server_time(response: httpx.Response) -> datetime | None:
    """Return the server's time (``Date`` header, whole seconds, UTC), or None if the header is missing or invalid."""
    return _http_date(response.headers.get("date", ""))


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        # The zone -0000 means UTC too, but is parsed without a time zone.
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
