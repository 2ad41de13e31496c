"""The API key before any request: each way in which it can be wrong has its own message, and none shows it."""

import httpx
import pytest

from klaviyo_assets.api.auth import ApiKey, ApiKeyWarning, KlaviyoAuth, parse_api_key
from klaviyo_assets.api.errors import ApiKeyMalformed, ApiKeyMissing, ForeignLink
from klaviyo_assets.api.redaction import redact

GOOD = "pk_0123456789abcdef0123456789abcdef01"


def test_a_good_key_is_taken_as_it_is() -> None:
    assert parse_api_key(GOOD).reveal() == GOOD


@pytest.mark.parametrize("text", [f" {GOOD}", f"{GOOD}\n", f"\t{GOOD} \r\n"], ids=["space", "newline", "both"])
def test_white_space_around_it_is_stripped_with_a_warning(text: str) -> None:
    with pytest.warns(ApiKeyWarning, match="white space or a newline around it, which was stripped"):
        assert parse_api_key(text).reveal() == GOOD


def test_an_unusual_length_warns() -> None:
    with pytest.warns(ApiKeyWarning, match="13 characters long; keys usually have 37"):
        assert parse_api_key("pk_0123456789").reveal() == "pk_0123456789"


REFUSED = [
    (None, ApiKeyMissing, "KLAVIYO_API_KEY is not set."),
    ("", ApiKeyMissing, "The Klaviyo API key is empty."),
    (" \n", ApiKeyMissing, "The Klaviyo API key is empty."),
    (f"'{GOOD}'", ApiKeyMalformed, "has quotes around it"),
    (f"“{GOOD}”", ApiKeyMalformed, "has quotes around it"),
    (f"Klaviyo-API-Key {GOOD}", ApiKeyMalformed, "begins with “Klaviyo-API-Key”, which is part of the HTTP header"),
    (f"Bearer {GOOD}", ApiKeyMalformed, "begins with “Bearer”, which is part of the HTTP header"),
    (f"{GOOD[:10]} {GOOD[10:]}", ApiKeyMalformed, "has a space or a line break inside it"),
    (f"{GOOD[:10]}\n{GOOD[10:]}", ApiKeyMalformed, "has a space or a line break inside it"),
    ("Ab12Cd", ApiKeyMalformed, "This is a public API key (site id, six characters)"),
    (GOOD.removeprefix("pk_"), ApiKeyMalformed, "does not start with pk_"),
    (f"{GOOD}%", ApiKeyMalformed, "holds characters that no key has"),
]
NAMES = ["unset", "empty", "blank", "quotes", "curly quotes", "header", "bearer", "space", "line break", "public", "no prefix", "odd character"]


@pytest.mark.parametrize(("text", "kind", "words"), REFUSED, ids=NAMES)
def test_what_cannot_be_a_key_is_refused_in_words(text: str | None, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        parse_api_key(text)

    assert words in str(caught.value)
    assert "What to do:" in str(caught.value)
    assert "0123456789abcdef" not in f"{caught.value!s} {caught.value!r} {vars(caught.value)}"


def test_a_key_does_not_show_itself() -> None:
    assert GOOD not in f"{ApiKey(GOOD)} {ApiKey(GOOD)!r} {[ApiKey(GOOD)]}"
    assert GOOD not in redact(f"Authorization: Klaviyo-API-Key {GOOD}")


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/api", "http://a.klaviyo.com/api", "https://a.klaviyo.com:8443/api", "https://a.klaviyo.com.evil.example/api"],
    ids=["host", "scheme", "port", "look-alike"],
)
def test_the_key_goes_to_the_configured_origin_only(url: str) -> None:
    auth = KlaviyoAuth(ApiKey(GOOD), httpx.URL("https://a.klaviyo.com"))
    request = httpx.Request("GET", url)

    with pytest.raises(ForeignLink, match="Refused to send the API key"):
        next(auth.auth_flow(request))
    assert "Authorization" not in request.headers


def test_the_origin_may_name_its_port() -> None:
    request = httpx.Request("GET", "https://a.klaviyo.com:443/api")

    next(KlaviyoAuth(ApiKey(GOOD), httpx.URL("https://a.klaviyo.com")).auth_flow(request))

    assert request.headers["Authorization"] == f"Klaviyo-API-Key {GOOD}"
