"""Classification of a 403, which has several causes with the same code."""

import pytest

from klaviyo_assets.api.denials import Denial, denial_of

WORDS = {
    Denial.SCOPE: [
        "You do not have permission to perform this action.",
        "The scope reviews:read is not enabled for this key.",
        "API key is missing required scopes: lists:read",
        "Insufficient permissions.",
        "Permission denied",
    ],
    Denial.PLAN: [
        "You must have Advanced KDP enabled to use this endpoint.",
        "Your plan does not include reviews.",
        "Please upgrade.",
        "Your account is not entitled to this feature.",
        "Reviews is not enabled for this account.",
        "A subscription to Klaviyo Reviews is needed.",
    ],
    Denial.QUOTA: [
        "You have reached your daily limit of 1,000 requests.",
        "Daily request limit exceeded.",
        "The maximum number of requests per day has been reached.",
        "Too many calls today.",
        "Quota exceeded.",
        "You have exceeded the limit of 225 requests in 24 hours.",
        "You have reached your daily limit. Upgrade your plan to send more requests.",
    ],
    Denial.ACCOUNT_DISABLED: [
        "Your account has been disabled.",
        "Account suspended.",
        "This account is currently suspended.",
        "The account AbC123 is deactivated.",
        "Company is inactive.",
        "This is a closed account.",
        "Your account is no longer active.",
        "The account is disabled. Ask support for the scope of this decision.",
        "account_suspended",
    ],
    Denial.UNKNOWN: ["Computer says no.", "Requests from your country are not allowed."],
}


@pytest.mark.parametrize(("denial", "detail"), [(denial, detail) for denial, details in WORDS.items() for detail in details])
@pytest.mark.parametrize("code", ["permission_denied", "forbidden", None])
def test_error_text_decides(code: str | None, denial: Denial, detail: str) -> None:
    assert denial_of(code, detail) is denial
    assert denial_of(code, detail.upper()) is denial


@pytest.mark.parametrize(
    ("code", "denial"),
    [
        ("permission_denied", Denial.SCOPE),
        ("forbidden", Denial.UNKNOWN),
        ("account_disabled", Denial.ACCOUNT_DISABLED),
        ("account_suspended", Denial.ACCOUNT_DISABLED),
        ("quota_exceeded", Denial.QUOTA),
        (None, Denial.UNKNOWN),
    ],
)
def test_code_decides_without_error_text(code: str | None, denial: Denial) -> None:
    assert denial_of(code, None) is denial
    assert denial_of(code, " ") is denial
