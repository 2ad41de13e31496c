"""Links of responses: those to other origins are not followed, and no link raises a library's error."""

import contextlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.api.auth import ApiKey, origin
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import (
    EndlessLinks,
    ForeignLink,
    InvalidResponse,
    KlaviyoError,
    RequestRefused,
)
from klaviyo_assets_tests.api.client_helpers import KEY, LISTS, RUN_AGAIN, error_text, page, read_lists
from klaviyo_assets_tests.api.scripted import Reply, Scripted


def test_link_to_another_origin(server: Scripted, elsewhere: Scripted) -> None:
    server.respond_with(page("a", next_url=f"{elsewhere.base_url}/api/lists"))

    assert error_text(server, ForeignLink) == (
        f"A link leads to {elsewhere.base_url}, not to {server.base_url}; it was not followed. What to do: Check "
        "KLAVIYO_BASE_URL; if it is right, please open an issue: a page link led to another host and was not followed."
    )
    assert elsewhere.requests == []
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        ("//evil.example/api/lists", ForeignLink),
        ("http://127.0.0.1@evil.example/api/lists", ForeignLink),
        ("ftp://127.0.0.1/api/lists", ForeignLink),
        ("http://evil.example\\@127.0.0.1/", ForeignLink),
        ("javascript:alert(1)", ForeignLink),
        ("http://127.0.0.1:99999/", ForeignLink),
        ("http://xn--a/api/lists", ForeignLink),
        ("http://xn--80ak6aa92e.com/api/lists", ForeignLink),
        ("http://[::1]/api/lists", ForeignLink),
        ("http://[::ffff:127.0.0.1]/api/lists", ForeignLink),
        ("http://[fe80::1%25eth0]/api/lists", ForeignLink),
        ("http://127.1/api/lists", ForeignLink),
        ("http://127.0.0.1:0/api/lists", ForeignLink),
        ("http://127.0.0.1./api/lists", ForeignLink),
        ("https:///api/lists", ForeignLink),
        ("mailto:someone@example.com", ForeignLink),
        ("/api/profiles", ForeignLink),
        ("/api/lists/../profiles", ForeignLink),
        ("/api/lists/abc", ForeignLink),
        ("..", ForeignLink),
        ("//xn--\u0080/", InvalidResponse),
        ("http://[::1", InvalidResponse),
        ("http://[v1.x]/", InvalidResponse),
        ("http://[1::2::3]/", InvalidResponse),
        ("http://\u0661.example/", InvalidResponse),
        ("/api/lists?" + "x" * 70_000, InvalidResponse),
        ("\u0000", InvalidResponse),
        ("http://127.0.0.1:port/", InvalidResponse),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_unexpected_link_is_not_followed(link: str, kind: type[KlaviyoError], server: Scripted) -> None:
    server.respond_with(page("a", next_url=link))

    assert "What to do:" in error_text(server, kind)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "link", ["?page%5Bcursor%5D=b", "/api/lists/?page[cursor]=b", "lists?page[cursor]=b", "{base_url}/api/lists?page[cursor]=b#end"]
)
def test_valid_link_in_an_unusual_form_is_followed(link: str, server: Scripted) -> None:
    server.respond_with(page("a", next_url=link.replace("{base_url}", server.base_url)), page("b"))

    assert read_lists(server)[0] == ["a", "b"]
    assert httpx.URL(f"http://server{server.requests[1][0]}").params["page[cursor]"] == "b"


@pytest.mark.parametrize("link", ["5", '{"href": "/api/lists"}', '["/api/lists"]', "true", r'"\ud800"', '""'])
def test_invalid_link_raises_a_klaviyo_error(link: str, server: Scripted) -> None:
    server.respond_with(Reply(body=b'{"data": [], "links": {"next": %s}}' % link.encode()), page("b"))

    with pytest.raises(KlaviyoError) if link != '""' else contextlib.nullcontext():
        read_lists(server, retries=0)


@given(link=st.text(max_size=30) | st.from_regex(r"https?://[a-z0-9\[\]:.%@\\\-]{0,20}(/[ -~]{0,10})?", fullmatch=True))
def test_no_link_raises_a_library_error(link: str) -> None:
    client = KlaviyoClient(ApiKey(KEY), ClientSettings())
    with contextlib.suppress(KlaviyoError):
        client._next_page(LISTS.endpoint.path, link)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://[::1]:80/", "http://[0:0:0:0:0:0:0:1]/"),
        ("https://[2001:DB8::1]/", "https://[2001:db8:0:0::0001]:443/"),
        ("https://A.klaviyo.com/", "https://a.klaviyo.com:443"),
    ],
)
def test_spellings_of_one_origin_are_equal(one: str, other: str) -> None:
    assert origin(httpx.URL(one)) == origin(httpx.URL(other))


def test_a_redirect_within_the_host_is_not_followed_either(server: Scripted) -> None:
    server.respond_with(Reply(302, b"", headers={"Location": f"{server.base_url}/api/elsewhere"}), page("a"))

    error_text(server, RequestRefused)

    assert [path for path, _ in server.requests] == ["/api/lists"]


def test_only_recent_links_are_kept_to_detect_a_loop(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.client._LINKS_KEPT", 3)
    links = [f"{server.base_url}/api/lists?page%5Bcursor%5D={name}" for name in "abcdeacda"]
    server.respond_with(*(page(str(number), next_url=link) for number, link in enumerate(links)))

    assert error_text(server, EndlessLinks) == f"Klaviyo's page links form a loop. [GET /api/lists] {RUN_AGAIN}"
    assert len(server.requests) == len("abcdeacda"), "the link of the first page was forgotten, that of the last but two was not"


def test_loop_of_two_pages_is_detected(server: Scripted) -> None:
    first, second = (f"{server.base_url}/api/lists?page%5Bcursor%5D={name}" for name in "ab")
    server.respond_with(page("1", next_url=first), page("2", next_url=second), page("3", next_url=first))

    assert error_text(server, InvalidResponse) == f"Klaviyo's page links form a loop. [GET /api/lists] {RUN_AGAIN}"
    assert len(server.requests) == 3
