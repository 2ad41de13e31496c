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
        - EdgeBlocked           blocked before it reached the API (403 with HTML); says nothing of the key
      x RequestRefused
        - BadRequest            Klaviyo refuses the request (400)
            - CursorRefused     a page link has expired (400 for a request with a cursor); the chain can be begun again
        - NotFound              no such record (404)
        - RevisionRetired       the pinned API revision is gone (410)
      x RequestFailed           transient; raised when the retries are used up
        - RateLimited           429
        - ServerFault           5xx
        - ConnectionFailed      refused, dropped, cut or timed out
        - BadAnswer             an answer that cannot be parsed
            - EndlessLinks      page links that lead in a circle; the chain can be begun again
      x ForeignLink             a link to another host, which the key is never sent to
"""

from klaviyo_assets.api.redaction import redact
from klaviyo_assets.text import one_line

_LONGEST_CODE = 80


class KlaviyoError(Exception):
    """Base of all errors of the Klaviyo client.

    Args:
        summary: What happened, one sentence.
        endpoint: Method and path, such as ``GET /api/events``.
        status: HTTP status of the answer, if there was one.
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
        self.summary = one_line(redact(summary))
        # A link's path is the server's own words too.
        self.endpoint = one_line(redact(endpoint)) if endpoint else None
        self.status = status
        # Of the server's own words any may stand here.
        self.code = one_line(redact(code), _LONGEST_CODE) if code else None
        self.detail = one_line(redact(detail)) if detail else None
        if advice:
            self.advice = advice
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """What happened, where, and Klaviyo's own words; without the advice."""
        answer = " ".join(str(part) for part in (self.status, self.code) if part)
        where = ": ".join(part for part in (self.endpoint, answer, f"“{self.detail}”" if self.detail else "") if part)
        return f"{self.summary} [{where}]" if where else self.summary

    def __str__(self) -> str:
        return f"{self.message} What to do: {self.advice}"


class ApiKeyError(KlaviyoError):
    """The private API key is missing, malformed or rejected."""


class ApiKeyMissing(ApiKeyError):
    """No key is configured."""

    advice = (
        "Set KLAVIYO_API_KEY (or the variable that your KlaviyoResource names; in the environment or a .env file) to a private API key of your "
        "account. "
        "Create one in Klaviyo under Settings > API keys; it takes the role Owner, Admin or Manager."
    )


class ApiKeyMalformed(ApiKeyError):
    """The configured text cannot be a private API key."""

    advice = "Copy the private API key again from Klaviyo (Settings > API keys): it starts with pk_ and stands alone, without quotes or spaces."


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
        detail: Klaviyo's own words.
    """

    def __init__(self, scope: str, *, endpoint: str | None = None, detail: str | None = None) -> None:
        self.scope = scope
        super().__init__(
            f"The API key is valid but lacks the scope {scope}.",
            endpoint=endpoint,
            status=403,
            code="permission_denied",
            detail=detail,
            advice=(
                f"Create a new private API key that has {scope} (Klaviyo: Settings > API keys; “Read-only” has every scope that is needed) "
                "and set KLAVIYO_API_KEY to it: the scopes of an existing key cannot be changed. If the key used to work, check whether the "
                "role of the person who made it has changed."
            ),
        )


class PlanGate(AccessDenied):
    """The key is valid but the account's plan lacks the feature."""

    advice = "This is not about the key: the account's Klaviyo plan lacks the feature. Leave the asset out, or add the product in Klaviyo's billing."


class EdgeBlocked(AccessDenied):
    """Blocked in front of the API; says nothing of the key."""

    advice = (
        "The request was blocked by a firewall in front of the API, which says nothing about the key. Check the network that this machine "
        "uses (proxy, VPN, data centre address) and try again later."
    )


class RequestRefused(KlaviyoError):
    """Klaviyo refuses the request as it stands; sending it again does not help."""


class BadRequest(RequestRefused):
    """Klaviyo answers 400."""

    advice = "This is a defect of klaviyo_assets or a change at Klaviyo: please open an issue with this message."


class CursorRefused(BadRequest):
    """Klaviyo answers 400 to a page link that it gave itself, as it does to one that is some days old."""

    advice = "Run the sync again: it goes on behind what was read, with links of its own. If it keeps failing, open an issue with this message."


class NotFound(RequestRefused):
    """There is no such record."""


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


class RateLimited(RequestFailed):
    """Klaviyo answers 429.

    Args:
        retry_after: Seconds to wait before the next request (``Retry-After``).
        endpoint: Method and path.
        detail: Klaviyo's own words.
    """

    advice = (
        "The account's rate limit is shared by all its integrations, and others use it up now: run the sync again later, or lower "
        "KLAVIYO_RATE_LIMIT_SHARE."
    )

    def __init__(self, retry_after: float | None, *, endpoint: str | None = None, detail: str | None = None) -> None:
        wait = f" It asks to wait {retry_after:.0f} seconds." if retry_after else ""
        super().__init__(f"Klaviyo's rate limit is used up.{wait}", endpoint=endpoint, status=429, code="throttled", detail=detail)
        self.retry_after = retry_after


class ServerFault(RequestFailed):
    """Klaviyo answers 5xx."""


class ConnectionFailed(RequestFailed):
    """No complete answer arrived: refused, dropped, cut or timed out."""

    advice = "Check the network and https://status.klaviyo.com, then run the sync again. What was read so far is kept."


class BadAnswer(RequestFailed):
    """An answer that is not what the API promises."""


class EndlessLinks(BadAnswer):
    """Page links that lead in a circle."""


class ForeignLink(KlaviyoError):
    """A link that leads to another origin; the key is never sent there."""

    advice = "Check KLAVIYO_BASE_URL; if it is right, please open an issue: a page link led to another host and was not followed."
