"""Validation of the API key: each kind of malformed key has its own message, and none shows the key."""

import asyncio
import traceback

import httpx
import pytest

from klaviyo_assets.api.auth import ApiKey, ApiKeyWarning, KlaviyoAuth, parse_api_key
from klaviyo_assets.api.klaviyo_errors import ApiKeyMalformed, ApiKeyMissing, ForeignLink
from klaviyo_assets_tests.api.scripted import Scripted

GOOD = "pk_0123456789abcdef0123456789abcdef01"


def test_valid_key_is_accepted_unchanged() -> None:
    assert parse_api_key(GOOD).reveal() == GOOD


@pytest.mark.parametrize("text", [f" {GOOD}", f"{GOOD}\n", f"\t{GOOD} \r\n"], ids=["space", "newline", "both"])
def test_surrounding_white_space_is_stripped_with_a_warning(text: str) -> None:
    with pytest.warns(ApiKeyWarning, match="white space or a newline around it, which was stripped"):
        assert parse_api_key(text).reveal() == GOOD


def test_an_unusual_length_warns() -> None:
    with pytest.warns(ApiKeyWarning, match="13 characters long; keys usually have 37"):
        assert parse_api_key("pk_0123456789").reveal() == "pk_0123456789"


CREATE = (
    "What to do: Set KLAVIYO_API_KEY (or the variable that your KlaviyoResource names; in the environment or a .env file) to a private API key of "
    "your account. Create one in Klaviyo under Settings > API keys; that needs the role Owner, Admin or Manager."
)
COPY = "What to do: Copy the private API key again from Klaviyo (Settings > API keys): it starts with pk_ and has no quotes or spaces around it."
QUOTES = "The Klaviyo API key has quotes around it. What to do: Remove the quotes; the key itself starts with pk_."
BROKEN = "The Klaviyo API key has a space or a line break inside it. What to do: Copy it again, in one piece and on one line."
NO_PREFIX = f"The Klaviyo API key does not start with pk_, so it is not a private API key. {COPY}"
ODD = f"The Klaviyo API key contains invalid characters. {COPY}"
PUBLIC = (
    "This is a public API key (site id, six characters); it cannot read data. What to do: Create a private API key in Klaviyo (Settings > API keys): "
    "it starts with pk_."
)


def header(word: str) -> str:
    return (
        f"The Klaviyo API key begins with “{word}”, which is part of the HTTP header and not of the key. "
        "What to do: Keep only the part that starts with pk_."
    )


REFUSED = {
    "unset": (None, ApiKeyMissing, f"KLAVIYO_API_KEY is not set. {CREATE}"),
    "empty": ("", ApiKeyMissing, f"The Klaviyo API key is empty. {CREATE}"),
    "blank": (" \n", ApiKeyMissing, f"The Klaviyo API key is empty. {CREATE}"),
    "quotes": (f"'{GOOD}'", ApiKeyMalformed, QUOTES),
    "double quotes": (f'"{GOOD}"', ApiKeyMalformed, QUOTES),
    "curly quotes": (f"“{GOOD}”", ApiKeyMalformed, QUOTES),
    "one quote": (f"{GOOD}'", ApiKeyMalformed, QUOTES),
    "header": (f"Klaviyo-API-Key {GOOD}", ApiKeyMalformed, header("Klaviyo-API-Key")),
    "header in small letters": (f"klaviyo-api-key {GOOD}", ApiKeyMalformed, header("klaviyo-api-key")),
    "bearer": (f"Bearer {GOOD}", ApiKeyMalformed, header("Bearer")),
    "whole header": (f"Authorization: Klaviyo-API-Key {GOOD}", ApiKeyMalformed, header("Authorization:")),
    "space": (f"{GOOD[:10]} {GOOD[10:]}", ApiKeyMalformed, BROKEN),
    "line break": (f"{GOOD[:10]}\n{GOOD[10:]}", ApiKeyMalformed, BROKEN),
    "no-break space": (f"{GOOD[:10]}\u00a0{GOOD[10:]}", ApiKeyMalformed, BROKEN),
    "public": ("Ab12Cd", ApiKeyMalformed, PUBLIC),
    "no prefix": (GOOD.removeprefix("pk_"), ApiKeyMalformed, NO_PREFIX),
    "prefix in capitals": (GOOD.upper(), ApiKeyMalformed, NO_PREFIX),
    "prefix alone": ("pk_", ApiKeyMalformed, ODD),
    "odd character": (f"{GOOD}%", ApiKeyMalformed, ODD),
    "zero width space": (f"{GOOD}\u200b", ApiKeyMalformed, ODD),
    "letter of another script": (f"{GOOD[:-1]}а", ApiKeyMalformed, ODD),
}


@pytest.mark.parametrize(("text", "kind", "words"), REFUSED.values(), ids=REFUSED)
def test_malformed_key_is_refused_with_a_reason(text: str | None, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        parse_api_key(text)

    assert str(caught.value) == words
    shown = f"{caught.value!s} {caught.value!r} {caught.value.args} {vars(caught.value)} {''.join(traceback.format_exception(caught.value))}"
    assert "0123456789abcdef" not in shown.lower()
    assert "Ab12Cd" not in shown


def test_key_is_masked() -> None:
    key = ApiKey(GOOD)

    assert str(key) == f"{key}" == format(key, "") == "pk_***"
    assert repr(key) == "ApiKey('pk_***')"
    assert repr([key]) == "[ApiKey('pk_***')]"
    assert not hasattr(key, "__dict__")
    assert GOOD not in repr(KlaviyoAuth(key, httpx.URL("https://a.klaviyo.com")))


def test_a_warning_does_not_show_the_key() -> None:
    with pytest.warns(ApiKeyWarning) as caught:
        parse_api_key(f" {GOOD}x ")

    assert [str(one.message) for one in caught] == [
        "The Klaviyo API key had white space or a newline around it, which was stripped.",
        "The Klaviyo API key is 38 characters long; keys usually have 37. Was it copied whole?",
    ]


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/api", "http://a.klaviyo.com/api", "https://a.klaviyo.com:8443/api", "https://a.klaviyo.com.evil.example/api"],
    ids=["host", "scheme", "port", "look-alike"],
)
def test_key_is_sent_to_the_configured_origin_only(url: str) -> None:
    auth = KlaviyoAuth(ApiKey(GOOD), httpx.URL("https://a.klaviyo.com"))
    request = httpx.Request("GET", url)

    with pytest.raises(ForeignLink) as caught:
        next(auth.auth_flow(request))
    assert caught.value.summary == f"Refused to send the API key to {url.removesuffix('/api')}."
    assert "Authorization" not in request.headers


def test_nothing_is_sent_to_another_origin(server: Scripted, elsewhere: Scripted) -> None:
    async def send() -> None:
        async with httpx.AsyncClient(auth=KlaviyoAuth(ApiKey(GOOD), httpx.URL(server.base_url))) as client:
            await client.get(f"{server.base_url}/api/lists")
            with pytest.raises(ForeignLink, match="Refused to send the API key"):
                await client.get(f"{elsewhere.base_url}/api/lists")

    asyncio.run(send())

    assert elsewhere.requests == []
    assert [headers["authorization"] for _, headers in server.requests] == [f"Klaviyo-API-Key {GOOD}"]


def test_origin_with_an_explicit_default_port_is_the_same() -> None:
    request = httpx.Request("GET", "https://a.klaviyo.com:443/api")

    next(KlaviyoAuth(ApiKey(GOOD), httpx.URL("https://a.klaviyo.com")).auth_flow(request))

    assert request.headers["Authorization"] == f"Klaviyo-API-Key {GOOD}"
