"""Exceptions of the Klaviyo client. Each says what happened, where, and what to do next.

The hierarchy, by indentation::

    KlaviyoError
        ApiKeyError
            ApiKeyMissing           no key is configured
            ApiKeyMalformed         the configured text cannot be a private API key
            ApiKeyRejected          Klaviyo does not accept the key (401, or 400 for the key)
        AccessDenied                the key is valid, but does not open the endpoint (403)
            ScopeMissing            a scope is missing (permission_denied)
            PlanGate                the account's plan lacks the feature
            QuotaUsedUp             a quota of the account, such as a daily limit, is used up
            AccountDisabled         the account is disabled or suspended
            AccessRefused           a reason that this package does not recognize
            EdgeBlocked             HTML instead of JSON: blocked before the request reached the API, which says nothing about the key
        RequestRefused              the same request would be refused again
            BadRequest              Klaviyo refuses the request (400)
                CursorRefused       a page link has expired; the chain can be restarted
            NotFound                no such record (404)
            Conflict                the request conflicts with something at Klaviyo (409)
            RevisionRetired         the pinned API revision is gone (410)
            Redirected              a redirect (3xx); never followed
        RequestFailed               transient; raised after the last retry
            RateLimited             429
                EdgeRateLimited     Cloudflare, in front of the API, limits requests from this address (429 or 403)
            DailyLimitReached       our share of a daily limit is used up (api/rate_limit/daily.py)
            ServerFault             5xx, 408, 425
            ConnectionFailed        connection refused, dropped or timed out, or the response cut short
            InvalidResponse         a response that cannot be parsed
                EndlessLinks        page links that form a loop; the chain can be restarted
                EndlessPages        page links without an end and without progress
        ClocksDisagree              Klaviyo's clock and this machine's are years apart
        ResponseTooLarge            a response larger than the limit
        InvalidNetworkSetting       no request can be sent: the base URL, a proxy or the trusted certificates cannot be used
        ForeignLink                 a link to another host; the key is never sent there
"""

import re
from datetime import datetime
from typing import Any

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets._internal.sanitize import one_line
from klaviyo_assets.api.waits import not_before, wait_text
from klaviyo_assets.errors import KlaviyoAssetsError

_MAX_CODE_LENGTH = 80
_HOUR = 3600.0

_SCOPE_IN_LIST = re.compile(r"[a-z-]+:[a-z]+")

_DAILY_LIMIT_SECONDS = 900.0
"""A ``Retry-After`` of at least this many seconds means a daily limit: the API's other limits are per second and per minute."""


class KlaviyoError(KlaviyoAssetsError):
    """Base of all errors of the Klaviyo client.

    Args:
        summary: What happened, one sentence.
        endpoint: Method and path, such as ``GET /api/events``.
        status: HTTP status of the response, if there was one.
        code: Klaviyo's error code, such as ``permission_denied``.
        detail: Klaviyo's error text.
        advice: What the user can do next.
    """

    advice = "Run the sync again; if it keeps failing, open an issue with this message."

    def __init__(
        self,
        summary: str,
        *,
        endpoint: str | None = None,
        status: int | None = None,
        code: str | None = None,
        detail: str | None = None,
        advice: str | None = None,
    ) -> None:
        # The path may come from a page link, so it is untrusted text too.
        self.endpoint = one_line(redact(endpoint)) if endpoint else None
        self.status = status
        # Untrusted text of the server.
        self.code = one_line(redact(code), _MAX_CODE_LENGTH) if code else None
        self.detail = one_line(redact(detail)) if detail else None
        super().__init__(summary, advice or "")

    @property
    def message(self) -> str:
        """What happened, where, and Klaviyo's error text; without the advice."""
        response = " ".join(str(part) for part in (self.status, self.code) if part)
        where = ": ".join(part for part in (self.endpoint, response, f"“{self.detail}”" if self.detail else "") if part)
        return f"{self.summary} [{where}]" if where else self.summary


class ApiKeyError(KlaviyoError):
    """The private API key is missing, malformed or rejected."""


class ApiKeyMissing(ApiKeyError):
    """No key is configured."""

    advice = (
        "Set KLAVIYO_API_KEY (or the variable that your KlaviyoResource names; in the environment or a .env file) to a private API key of your "
        "account. "
        "Create one in Klaviyo under Settings > API keys; that needs the role Owner, Admin or Manager."
    )


class ApiKeyMalformed(ApiKeyError):
    """The configured text cannot be a private API key."""

    advice = "Copy the private API key again from Klaviyo (Settings > API keys): it starts with pk_ and has no quotes or spaces around it."


class ApiKeyRejected(ApiKeyError):
    """Klaviyo does not accept the key."""

    advice = (
        "Check that the key is a private one (pk_…), copied whole, still active and of the right account (Klaviyo: Settings > API keys). "
        "A key is shown only once: if in doubt, create a new one and set KLAVIYO_API_KEY to it."
    )


class AccessDenied(KlaviyoError):
    """Klaviyo denies access to this endpoint; the key may still have access to others."""


class ScopeMissing(AccessDenied):
    """The key is valid but lacks a scope.

    Args:
        scope: The scope that is missing, such as ``reviews:read``; several, as text, if Klaviyo does not say which of them is.
        endpoint: Method and path.
        code: Klaviyo's error code.
        detail: Klaviyo's error text.
    """

    def __init__(self, scope: str, *, endpoint: str | None = None, code: str | None = None, detail: str | None = None) -> None:
        self.scope = scope
        super().__init__(
            f"The API key is valid but lacks {'one or more of the scopes' if ' ' in scope else 'the scope'} {scope}.",
            endpoint=endpoint,
            status=403,
            code=code,
            detail=detail,
            advice=(
                f"Create a new private API key that has {scope} (Klaviyo: Settings > API keys; “Read-only” has every scope that is needed) "
                "and set KLAVIYO_API_KEY to it: the scopes of an existing key cannot be changed. If the key used to work, check whether the "
                "role of the user who created it has changed."
            ),
        )

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scope that is missing; if Klaviyo does not say which one, all that the endpoint needs."""
        return tuple(_SCOPE_IN_LIST.findall(self.scope))


class PlanGate(AccessDenied):
    """The key is valid but the account's plan lacks the feature."""

    advice = "This is not about the key: the account's Klaviyo plan lacks the feature. Leave the asset out, or add the product in Klaviyo's billing."


class QuotaUsedUp(AccessDenied):
    """The key is valid; a quota of the account (such as a daily limit) is used up."""

    advice = (
        "This is not about the key or its scopes. Run the sync again once the limit has been renewed (a daily one: tomorrow). What was read so far "
        "is kept. If it happens often, see which integrations of the account send the most requests, or ask Klaviyo's support for a higher limit."
    )


class AccountDisabled(AccessDenied):
    """The Klaviyo account is disabled or suspended."""

    advice = (
        "Sign in to Klaviyo and check the account's status (Settings > Account, Settings > Billing), or ask Klaviyo's support. "
        "Nothing can be read before the account is active again."
    )


class AccessRefused(AccessDenied):
    """Access is refused for a reason that this package does not recognize; Klaviyo's error text gives it."""


class EdgeBlocked(AccessDenied):
    """Blocked in front of the API; says nothing about the key."""

    advice = (
        "The request was blocked by a firewall in front of the API, which says nothing about the key. Check the network that this machine "
        "uses (proxy, VPN, data center address) and try again later."
    )


class RequestRefused(KlaviyoError):
    """Klaviyo refuses the request: the same one would be refused again. A new sync may succeed after a ``Conflict`` or a ``CursorRefused``."""

    advice_about_own_type = (
        "Klaviyo's text says what it refuses. Compare the resource type {name} in your code with Klaviyo's reference of the endpoint: its path, "
        "filters, sorts, page size, fields and subsets."
    )
    """Advice if the resource type comes from the user's own code."""


class BadRequest(RequestRefused):
    """Klaviyo responds with 400."""

    advice = "This is a defect of klaviyo_assets or a change at Klaviyo: please open an issue with this message."


class CursorRefused(BadRequest):
    """Klaviyo responds with 400 to one of its own page links, as it does after some days."""

    advice = (
        "Run the sync again: it continues after the last page that was read, with new links. If it keeps failing, open an issue with this message."
    )


class NotFound(RequestRefused):
    """There is no such record, or no such endpoint."""

    @property
    def is_about_a_record(self) -> bool:
        """True if Klaviyo itself says that a record does not exist; False if the address leads to another server, or the request did not arrive."""
        return self.code is not None


class Conflict(RequestRefused):
    """The request conflicts with something at Klaviyo."""

    advice = "Run the sync again later: something at Klaviyo was being changed. If it keeps failing, open an issue with this message."


class Redirected(RequestRefused):
    """A redirect. It is not followed, since that would send the key to its target.

    Args:
        target: Target without parts that may be secret; None if the response has none.
        endpoint: Method and path.
        status: HTTP status.
        detail: Text of the response.
    """

    advice = (
        "Set KLAVIYO_BASE_URL to the API itself (https://a.klaviyo.com), with https. If it is right, something between this machine and Klaviyo "
        "responds in its place (a proxy, a sign-in page of the network): check the network."
    )

    def __init__(self, target: str | None, *, endpoint: str | None = None, status: int | None = None, detail: str | None = None) -> None:
        redirect = f"a redirect to {target}" if target else "a redirect without a target"
        super().__init__(f"The response was {redirect}; it was not followed.", endpoint=endpoint, status=status, detail=detail)


class RevisionRetired(RequestRefused):
    """The pinned API revision is no longer served."""

    advice = "Upgrade klaviyo_assets to a version that pins a newer API revision (pip install --upgrade klaviyo-assets)."


class RequestFailed(KlaviyoError):
    """A transient error that lasted longer than the retries.

    Attributes:
        retry_after: Seconds of the response's ``Retry-After``; None if there is none.
    """

    advice = "This is usually temporary: run the sync again later. What was read so far is kept."
    retry_after: float | None = None

    @property
    def may_end_soon(self) -> bool:
        """False if ``Retry-After`` is so long that a retry within the run would fail again, as for a daily limit."""
        return (self.retry_after or 0) < _DAILY_LIMIT_SECONDS


class RateLimited(RequestFailed):
    """Klaviyo responds with 429.

    Args:
        retry_after: Seconds to wait before the next request (``Retry-After``).
        endpoint: Method and path.
        status: HTTP status.
        code: Klaviyo's error code.
        detail: Klaviyo's error text.
        now: Time of the response, to compute the end of the wait.
    """

    summary_start = "Klaviyo's rate limit is used up."
    advice = (
        "All integrations of the account share its rate limit, and others are using it up: run the sync again later, or lower "
        "KLAVIYO_RATE_LIMIT_SHARE."
    )

    def __init__(
        self,
        retry_after: float | None,
        *,
        endpoint: str | None = None,
        status: int | None = 429,
        code: str | None = None,
        detail: str | None = None,
        now: datetime | None = None,
    ) -> None:
        summary = f"{self.summary_start}{wait_text(retry_after, now)}"
        super().__init__(summary, endpoint=endpoint, status=status, code=code, detail=detail, advice=self._advice(retry_after, now))
        self.retry_after = retry_after

    def _advice(self, retry_after: float | None, now: datetime | None) -> str | None:
        if (retry_after or 0) < _DAILY_LIMIT_SECONDS:
            return None
        return (
            "A daily limit of the account seems to be used up; it is shared by all its integrations. "
            f"Run the sync again{not_before(retry_after, now)}. What was read so far is kept."
        )


class EdgeRateLimited(RateLimited):
    """Cloudflare, in front of the API, limits requests from this machine's address; says nothing about the key or the account's limits."""

    summary_start = "Requests from this machine's address are limited in front of Klaviyo's API."
    advice = (
        "Wait some minutes, then run the sync again. If it keeps failing, find out what else sends requests to Klaviyo from this address (proxy, "
        "VPN, data center), or use another one. This says nothing about the key."
    )

    def _advice(self, retry_after: float | None, now: datetime | None) -> str | None:
        return f"{self.advice} The wait is long: do not try again{not_before(retry_after, now)}." if (retry_after or 0) > _HOUR else None


class ServerFault(RequestFailed):
    """Klaviyo, or a server in front of it, responds with an error (5xx) or asks for a retry (408, 425).

    Args:
        summary: What happened, one sentence.
        retry_after: Seconds to wait before the next request (``Retry-After``).
        now: Time of the response, to compute the end of the wait.
        facts: As for :class:`KlaviyoError`.
    """

    def __init__(self, summary: str, *, retry_after: float | None = None, now: datetime | None = None, **facts: Any) -> None:
        super().__init__(f"{summary}{wait_text(retry_after, now)}", **facts)
        self.retry_after = retry_after


class ConnectionFailed(RequestFailed):
    """No complete response: the connection was refused, dropped or timed out, or the response was cut short."""

    advice = "Check the network and https://status.klaviyo.com, then run the sync again. What was read so far is kept."


class InvalidResponse(RequestFailed):
    """A response that does not have the documented form."""


class EndlessLinks(InvalidResponse):
    """Page links that form a loop."""


class EndlessPages(InvalidResponse):
    """Page links without an end and without progress: repeated records, empty pages, or records outside of the requested window."""

    advice = (
        "Run the sync again later; what was read so far is kept. If it keeps failing, check that KLAVIYO_BASE_URL is Klaviyo's API, and open an "
        "issue with this message."
    )


class ClocksDisagree(KlaviyoError):
    """Klaviyo's clock and this machine's are too far apart to trust either."""

    advice = (
        "Set the clock of this machine (timedatectl, or the host's clock if this is a container). If it is right, something between this machine and "
        "Klaviyo responds in its place (a proxy, a cache): check KLAVIYO_BASE_URL and the network."
    )


class ResponseTooLarge(KlaviyoError):
    """A response is larger than the limit, as received or decompressed.

    Args:
        limit: Maximum bytes of a response.
        endpoint: Method and path.
        status: HTTP status.
    """

    advice = (
        "If records are really so large, set KLAVIYO_MAX_RESPONSE_BYTES (max_response_bytes of the resource) higher; a sync then takes more memory. "
        "If not, something between this machine and Klaviyo responds in its place: check KLAVIYO_BASE_URL and the network."
    )

    def __init__(self, limit: int, *, endpoint: str | None = None, status: int | None = None) -> None:
        self.limit = limit
        super().__init__(f"Klaviyo's response is larger than {limit:,} bytes, the maximum size of a response.", endpoint=endpoint, status=status)


class InvalidNetworkSetting(KlaviyoError):
    """No request can be sent: the base URL, a proxy or the trusted certificates cannot be used."""


class ForeignLink(KlaviyoError):
    """A link that leads to another origin; the key is never sent there."""

    advice = "Check KLAVIYO_BASE_URL; if it is right, please open an issue: a page link led to another host and was not followed."
