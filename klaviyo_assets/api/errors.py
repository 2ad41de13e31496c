"""What can go wrong with Klaviyo, as exceptions that say what happened, where, and what to do next.

The hierarchy::

    KlaviyoError
      x ApiKeyError
        - ApiKeyMissing         no key is configured
        - ApiKeyMalformed       the configured text cannot be a private API key
        - ApiKeyRejected        Klaviyo does not accept the key (401, or 400 for the key)
      x AccessDenied
        - ScopeMissing          the key is valid, a scope is missing (403 permission_denied)
        - PlanGate              the key is valid, the account's plan lacks the feature (403)
        - QuotaUsedUp           the key is valid, a daily limit or another quota of the account is used up (403)
        - AccountDisabled       the account is disabled or suspended (403)
        - AccessRefused         the key is valid, access is refused for a reason that only Klaviyo's words give (403)
        - EdgeBlocked           blocked before it reached the API (403 with HTML); says nothing of the key
      x RequestRefused
        - BadRequest            Klaviyo refuses the request (400)
            - CursorRefused     a page link has expired (400 for a request with a cursor); the chain can be begun again
        - NotFound              no such record (404)
        - Conflict              the request conflicts with something at Klaviyo (409)
        - RevisionRetired       the pinned API revision is gone (410)
        - Redirected            a redirect (3xx), which is never followed
      x RequestFailed           transient; raised when the retries are used up
        - RateLimited           429
            - EdgeRateLimited   requests from this address are limited in front of the API (429 or 403 with a page of Cloudflare)
        - ServerFault           5xx, 408, 425
        - ConnectionFailed      refused, dropped, cut or timed out
        - BadAnswer             a response that cannot be parsed
            - EndlessLinks      page links that lead in a circle; the chain can be begun again
            - EndlessPages      page links that are always new and lead nowhere
      x ClocksDisagree          Klaviyo's clock and this machine's are years apart
      x AnswerTooLarge          a response of more bytes than one may have
      x InvalidNetworkSetting   no request can be sent: the base URL, a proxy or the trusted certificates
      x ForeignLink             a link to another host, which the key is never sent to
"""

from datetime import datetime
from typing import Any

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets._internal.sanitize import one_line
from klaviyo_assets.api.waits import not_before, wait_in_words
from klaviyo_assets.errors import KlaviyoAssetsError

_LONGEST_CODE = 80
_HOUR = 3600.0

_AS_LONG_AS_A_DAILY_LIMIT = 900.0
"""Seconds of ``Retry-After`` from which on a daily limit is used up: the other limits of the API are those of a second and of a minute."""


class KlaviyoError(KlaviyoAssetsError):
    """Base of all errors of the Klaviyo client.

    Args:
        summary: What happened, one sentence.
        endpoint: Method and path, such as ``GET /api/events``.
        status: HTTP status of the response, if there was one.
        code: Klaviyo's error code, such as ``permission_denied``.
        detail: Klaviyo's own words.
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
        # A link's path is the server's own words too.
        self.endpoint = one_line(redact(endpoint)) if endpoint else None
        self.status = status
        # Of the server's own words any may stand here.
        self.code = one_line(redact(code), _LONGEST_CODE) if code else None
        self.detail = one_line(redact(detail)) if detail else None
        super().__init__(summary, advice or "")

    @property
    def message(self) -> str:
        """What happened, where, and Klaviyo's own words; without the advice."""
        answer = " ".join(str(part) for part in (self.status, self.code) if part)
        where = ": ".join(part for part in (self.endpoint, answer, f"“{self.detail}”" if self.detail else "") if part)
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
    """The request was understood and not allowed; what else the key can do is not affected."""


class ScopeMissing(AccessDenied):
    """The key is valid but lacks a scope.

    Args:
        scope: The scope that is missing, such as ``reviews:read``.
        endpoint: Method and path.
        code: Klaviyo's error code.
        detail: Klaviyo's own words.
    """

    def __init__(self, scope: str, *, endpoint: str | None = None, code: str | None = None, detail: str | None = None) -> None:
        self.scope = scope
        super().__init__(
            f"The API key is valid but lacks the scope {scope}.",
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


class PlanGate(AccessDenied):
    """The key is valid but the account's plan lacks the feature."""

    advice = "This is not about the key: the account's Klaviyo plan lacks the feature. Leave the asset out, or add the product in Klaviyo's billing."


class QuotaUsedUp(AccessDenied):
    """The key is valid; a daily limit or another quota of the account is used up."""

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
    """Access is refused for a reason that only Klaviyo's words give."""


class EdgeBlocked(AccessDenied):
    """Blocked in front of the API; says nothing of the key."""

    advice = (
        "The request was blocked by a firewall in front of the API, which says nothing about the key. Check the network that this machine "
        "uses (proxy, VPN, data centre address) and try again later."
    )


class RequestRefused(KlaviyoError):
    """Klaviyo refuses the request; sending it again unchanged does not help."""


class BadRequest(RequestRefused):
    """Klaviyo responds with 400."""

    advice = "This is a defect of klaviyo_assets or a change at Klaviyo: please open an issue with this message."


class CursorRefused(BadRequest):
    """Klaviyo responds with 400 to a page link that it gave itself, as it does to one that is some days old."""

    advice = (
        "Run the sync again: it continues after the last page that was read, with new links. If it keeps failing, open an issue with this message."
    )


class NotFound(RequestRefused):
    """There is no such record, or no such endpoint."""


class Conflict(RequestRefused):
    """The request conflicts with something at Klaviyo."""

    advice = "Run the sync again later: something at Klaviyo was being changed. If it keeps failing, open an issue with this message."


class Redirected(RequestRefused):
    """A redirect; none is followed, since the key would go along.

    Args:
        target: Where it leads, without anything that may be a secret; None if the response does not say.
        endpoint: Method and path.
        status: HTTP status.
        detail: The words of the response.
    """

    advice = (
        "Set KLAVIYO_BASE_URL to the API itself (https://a.klaviyo.com), with https. If it is right, something between this machine and Klaviyo "
        "responds in its place (a proxy, a sign-in page of the network): check the network."
    )

    def __init__(self, target: str | None, *, endpoint: str | None = None, status: int | None = None, detail: str | None = None) -> None:
        leads = f"a redirect to {target}" if target else "a redirect without a target"
        super().__init__(f"The response was {leads}; it was not followed.", endpoint=endpoint, status=status, detail=detail)


class RevisionRetired(RequestRefused):
    """The pinned API revision is no longer served."""

    advice = "Upgrade klaviyo_assets to a version that pins a newer API revision (pip install --upgrade klaviyo-assets)."


class RequestFailed(KlaviyoError):
    """A transient fault that lasted longer than the retries.

    Attributes:
        retry_after: Seconds that Klaviyo asks to wait, if it does.
    """

    advice = "This is usually temporary: run the sync again later. What was read so far is kept."
    retry_after: float | None = None

    @property
    def may_end_soon(self) -> bool:
        """False where Klaviyo asks to wait so long that a retry within the run would only fail again, as for a daily limit."""
        return (self.retry_after or 0) < _AS_LONG_AS_A_DAILY_LIMIT


class RateLimited(RequestFailed):
    """Klaviyo responds with 429.

    Args:
        retry_after: Seconds to wait before the next request (``Retry-After``).
        endpoint: Method and path.
        status: HTTP status.
        code: Klaviyo's error code.
        detail: Klaviyo's own words.
        now: When the response was made, to say until when to wait.
    """

    summary_start = "Klaviyo's rate limit is used up."
    advice = (
        "The account's rate limit is shared by all its integrations, and others use it up now: run the sync again later, or lower "
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
        summary = f"{self.summary_start}{wait_in_words(retry_after, now)}"
        super().__init__(summary, endpoint=endpoint, status=status, code=code, detail=detail, advice=self._advice(retry_after, now))
        self.retry_after = retry_after

    def _advice(self, retry_after: float | None, now: datetime | None) -> str | None:
        if (retry_after or 0) < _AS_LONG_AS_A_DAILY_LIMIT:
            return None
        return (
            "A daily limit of the account seems to be used up; it is shared by all its integrations. "
            f"Run the sync again{not_before(retry_after, now)}. What was read so far is kept."
        )


class EdgeRateLimited(RateLimited):
    """Cloudflare, in front of the API, limits the requests from this machine's address; says nothing of the key or of the account's limits."""

    summary_start = "Requests from this machine's address are limited in front of Klaviyo's API."
    advice = (
        "Wait some minutes, then run the sync again. If it keeps failing, find out what else sends requests to Klaviyo from this address (proxy, "
        "VPN, data centre), or use another one. This says nothing about the key."
    )

    def _advice(self, retry_after: float | None, now: datetime | None) -> str | None:
        return f"{self.advice} The wait is long: do not try again{not_before(retry_after, now)}." if (retry_after or 0) > _HOUR else None


class ServerFault(RequestFailed):
    """Klaviyo, or what is in front of it, responds with a fault of its own (5xx), or wants the request once more (408, 425).

    Args:
        summary: What happened, one sentence.
        retry_after: Seconds to wait before the next request (``Retry-After``).
        now: When the response was made, to say until when to wait.
        facts: As for :class:`KlaviyoError`.
    """

    def __init__(self, summary: str, *, retry_after: float | None = None, now: datetime | None = None, **facts: Any) -> None:
        super().__init__(f"{summary}{wait_in_words(retry_after, now)}", **facts)
        self.retry_after = retry_after


class ConnectionFailed(RequestFailed):
    """No complete response arrived: refused, dropped, cut or timed out."""

    advice = "Check the network and https://status.klaviyo.com, then run the sync again. What was read so far is kept."


class BadAnswer(RequestFailed):
    """A response that is not what the API promises."""


class EndlessLinks(BadAnswer):
    """Page links that lead in a circle."""


class EndlessPages(BadAnswer):
    """Page links that are always new and lead nowhere: repeated records, empty pages, or records outside of what was requested."""

    advice = (
        "Run the sync again later; what was read so far is kept. If it keeps failing, check that KLAVIYO_BASE_URL is Klaviyo's API, and open an "
        "issue with this message."
    )


class ClocksDisagree(KlaviyoError):
    """Klaviyo's clock and this machine's are so far apart that neither can be believed."""

    advice = (
        "Set the clock of this machine (timedatectl, or the host's clock if this is a container). If it is right, something between this machine and "
        "Klaviyo responds in its place (a proxy, a cache): check KLAVIYO_BASE_URL and the network."
    )


class AnswerTooLarge(KlaviyoError):
    """A response has more bytes than one may have, as it comes or decompressed.

    Args:
        limit: The bytes that it may have.
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
    """A setting of this process (the base URL, a proxy, the trusted certificates) does not let any request be sent."""


class ForeignLink(KlaviyoError):
    """A link that leads to another origin; the key is never sent there."""

    advice = "Check KLAVIYO_BASE_URL; if it is right, please open an issue: a page link led to another host and was not followed."
