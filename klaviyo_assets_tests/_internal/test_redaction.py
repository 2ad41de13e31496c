"""Text that looks like a private key is masked, and nothing else."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets.api.klaviyo_errors import KlaviyoError, RateLimited, ScopeMissing

KEY = "pk_0123456789abcdef0123456789abcdef01"

TEXTS = {
    "header": (f"Authorization: Klaviyo-API-Key {KEY}", "Authorization: Klaviyo-API-Key pk_***"),
    "url": (f"https://a.klaviyo.com/?key={KEY}&x=1", "https://a.klaviyo.com/?key=pk_***&x=1"),
    "twice": (f"{KEY},{KEY}", "pk_***,pk_***"),
    "quoted": (f"'{KEY}'", "'pk_***'"),
    "with a dash": ("pk_abc-def_ghi rest", "pk_*** rest"),
    "masked": ("pk_***", "pk_***"),
    "prefix": ("keys start with pk_ or pk_…", "keys start with pk_ or pk_…"),
    "no key": ("a task of backpack_ing", "a task of backpack_ing"),
    "empty": ("", ""),
}


@pytest.mark.parametrize(("text", "shown"), TEXTS.values(), ids=TEXTS)
def test_keys_are_masked(text: str, shown: str) -> None:
    assert redact(text) == shown


KEYS = st.text(string.ascii_letters + string.digits + "_-", min_size=4, max_size=60).map("pk_{}".format)


@pytest.mark.long
@given(before=st.text(), key=KEYS, after=st.text())
def test_keys_are_masked_within_any_text(before: str, key: str, after: str) -> None:
    assert key not in redact(f"{before}{key}{after}")


@pytest.mark.parametrize(
    "error",
    [
        KlaviyoError(f"About {KEY}.", endpoint="GET /api/lists", detail=f"Your key {KEY} is odd."),
        ScopeMissing("lists:read", detail=KEY),
        RateLimited(1.0, detail=f"Too many for {KEY}"),
    ],
    ids=["any", "scope", "throttled"],
)
def test_no_part_of_an_error_contains_a_key(error: KlaviyoError) -> None:
    assert KEY not in f"{error} {error!r} {error.args} {error.message} {error.summary} {error.detail} {vars(error)}"
    assert "pk_***" in str(error)


def test_error_without_details_is_a_sentence_and_advice() -> None:
    assert str(KlaviyoError("It broke.")) == "It broke. What to do: Run the sync again; if it keeps failing, open an issue with this message."
    assert KlaviyoError("It broke.", endpoint="GET /api/x", status=500).message == "It broke. [GET /api/x: 500]"
    assert str(KlaviyoError("It broke.", advice="Fix it.")) == "It broke. What to do: Fix it."
