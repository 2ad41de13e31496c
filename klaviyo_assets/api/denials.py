"""Classifies a 403 of the API by its error text, since one error code has several causes.

``responses`` calls :func:`denial_of`, and raises an error for the result. It handles a 403 without an API error document itself: that one comes from
the network edge, the servers in front of the API.

Klaviyo does not document the texts and may change them (https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling). The rules below match
texts seen in practice and similar ones. If none matches, the result is ``UNKNOWN``, and the error quotes Klaviyo's text and names the likely cause.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

_PERMISSION_DENIED = "permission_denied"


class Denial(StrEnum):
    """Why the API denies access."""

    QUOTA = "quota"
    ACCOUNT_DISABLED = "account disabled"
    SCOPE = "scope"
    PLAN = "plan"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class _Rule:
    denial: Denial
    pattern: re.Pattern[str]


def _rule(denial: Denial, *patterns: str) -> _Rule:
    return _Rule(denial, re.compile("|".join(patterns), re.IGNORECASE))


_DISABLED = r"(?:disabled|suspended|deactivated|inactive|locked|closed|frozen|terminated|banned|blocked|cancell?ed|on hold|paused|restricted|deleted)"
_COMPANY = r"(?:account|company|organi[sz]ation)"

# The first rule that matches counts.
_RULES = (
    _rule(
        Denial.QUOTA,
        r"\b(?:daily|per[- ]day|a day|24[- ]hours?|monthly|hourly)\b[^.]*\b(?:limit|quota|maximum|allowance|requests?|calls?)\b",
        r"\b(?:limit|quota|maximum|allowance|requests?|calls?)\b[^.]*\b(?:daily|per[- ]day|a day|for today|today|24[- ]hours?|per month|monthly)\b",
        r"\b(?:limit|quota)\b[^.]*\b(?:reached|exceeded|exhausted|used up)\b",
        r"\b(?:reached|exceeded|exhausted|used up|over)\b[^.]*\b(?:limit|quota)\b",
        r"\bquota_exceeded\b|\blimit_(?:reached|exceeded)\b",
    ),
    _rule(
        Denial.ACCOUNT_DISABLED,
        rf"\b{_COMPANY}\b(?: \S+)?(?: (?:is|was|has|have|been|are|status))*:?(?: (?:currently|temporarily|permanently|now|been))?[ _]{_DISABLED}\b",
        rf"\b{_DISABLED}[ _]{_COMPANY}\b",
        rf"\b{_COMPANY}_{_DISABLED}\b",
        rf"\b{_COMPANY}\b[^.]*\b(?:not active|no longer active|under review|violat)",
    ),
    # Before the plan: a text about scopes may also tell the user to enable one.
    _rule(Denial.SCOPE, r"\bscopes?\b", r"\binsufficient[ _](?:scope|permissions?)"),
    _rule(
        Denial.PLAN,
        r"\bmust have\b[^.]*\benabled\b",
        r"\bnot enabled\b|\bneeds? to be enabled\b|\benable\b",
        r"\b(?:plan|tier|upgrade|subscri(?:be|ption)|billing|entitle(?:d|ment|ments)|add-?on|purchase|premium|trial|paid)\b",
        r"\bfeature\b",
    ),
    # After the plan: "your plan does not have permission" is about the plan.
    _rule(
        Denial.SCOPE,
        r"\b(?:do|does) not have (?:the )?(?:necessary |required |sufficient )?permissions?\b",
        r"\b(?:missing|lacks?|without|required?|requires) (?:the )?(?:necessary |required |sufficient )?permissions?\b",
        r"\bpermission denied\b",
    ),
)


def denial_of(code: str | None, detail: str | None) -> Denial:
    """Return why the API responds with 403.

    Args:
        code: Klaviyo's error code; ``permission_denied`` and ``forbidden`` have been seen. Any code other than ``permission_denied`` is matched too.
        detail: Klaviyo's error text. Without one, ``permission_denied`` means a missing scope.
    """
    # The code permission_denied comes with several causes, so only the text counts then.
    text = " ".join(part.strip() for part in (detail, code) if part and part != _PERMISSION_DENIED)
    for rule in _RULES:
        if rule.pattern.search(text):
            return rule.denial
    return Denial.SCOPE if code == _PERMISSION_DENIED and not text else Denial.UNKNOWN
