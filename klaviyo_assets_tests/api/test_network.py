"""Base URLs, proxies and trusted certificates from the environment, and the error messages for invalid ones."""

import ssl
from collections.abc import Callable
from pathlib import Path

import certifi
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.api import network
from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.base_url import InvalidBaseUrl, checked_base_url, is_loopback
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import InvalidNetworkSetting
from klaviyo_assets.api.network import proxy_for, tls_context
from klaviyo_assets.api.transport import HttpTransport
from klaviyo_assets_tests.api.client_helpers import KEY, page, read_lists
from klaviyo_assets_tests.api.scripted import Scripted, scripted_server

KLAVIYO = httpx.URL("https://a.klaviyo.com")
PROXY = "http://user:secret@proxy.example.com:3128"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


@pytest.fixture(autouse=True)
def plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("variables", [("HTTP_PROXY", "HTTPS_PROXY"), ("http_proxy", "https_proxy"), ("ALL_PROXY",), ("all_proxy",)], ids="/".join)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1"])
def test_requests_to_this_machine_go_through_no_proxy(
    variables: tuple[str, ...], host: str, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.respond_with(page("a"))
    server.base_url = server.base_url.replace("127.0.0.1", host)
    with scripted_server() as proxy:
        for name in variables:
            monkeypatch.setenv(name, proxy.base_url)

        assert read_lists(server)[0] == ["a"]

        assert proxy.requests == []


def test_requests_to_another_machine_go_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server() as proxy:
        proxy.respond_with(page("a"))
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
        elsewhere = Scripted("http://klaviyo.example", proxy.replies)

        assert read_lists(elsewhere, allow_http=True)[0] == ["a"]

        assert proxy.requests[0][0].startswith("http://klaviyo.example/api/lists")


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.255.0.9", "127.1", "0x7f.1", "2130706433", "localhost", "LOCALHOST.", "a.b.localhost", "::1", "[::1]", "0:0:0:0:0:0:0:1"),
        *("::ffff:127.0.0.1", "::ffff:7f00:1", "0.0.0.0", "::"),
    ],
)
def test_all_loopback_names_are_recognized(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["a.klaviyo.com", "10.0.0.1", "128.0.0.1", "::2", "::ffff:10.0.0.1", "localhost.example", "mylocalhost", "127.0.0.1.example"]
)
def test_other_hosts_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("no_proxy", "exempt"),
    [
        *(
            (text, True)
            for text in ("*", "a.klaviyo.com", ".klaviyo.com", "*.klaviyo.com", "klaviyo.com:443", "x, KLAVIYO.COM", "https://a.klaviyo.com")
        ),
        *((text, False) for text in ("", "viyo.com", "a.klaviyo.com:8443", "http://a.klaviyo.com", "b.klaviyo.com", "10.0.0.0/8")),
        # Values for which httpx raises an error, or does nothing.
        *(
            (text, False)
            for text in ("::1", "[::1]", "[::1]:80", "fe80::/10", "[fe80::1%eth0]", "::ffff:127.0.0.1", "[", "[::1", "a b", "http://[", ":", "/")
        ),
    ],
)
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_no_proxy_lists_exceptions(no_proxy: str, exempt: bool, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv(variable, no_proxy)

    assert (proxy_for(KLAVIYO) is None) == exempt
    KlaviyoClient(ApiKey(KEY))


@pytest.mark.parametrize(
    ("url", "no_proxy", "exempt"),
    [
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3", "2.3", False),
        ("https://[2001:db8::1]", "2001:db8:0::1", True),
        ("https://[2001:db8::1]", "[2001:db8::1]:443", True),
        ("https://[2001:db8::1]", "2001:db8::/32", True),
        ("https://[2001:db8::1]", "2001:db9::/32", False),
    ],
)
def test_no_proxy_supports_addresses_and_networks(url: str, no_proxy: str, exempt: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)

    assert (proxy_for(httpx.URL(url)) is None) == exempt


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_value_of_the_variables_gives_a_proxy_or_an_error_message(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", text)
        patch.setenv("NO_PROXY", text)
        try:
            proxy_for(KLAVIYO)
        except InvalidNetworkSetting:
            return
        HttpTransport(ApiKey(KEY), ClientSettings()).connect()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        *(
            (text, "is not the URL of a proxy")
            for text in ("http://[::1", "http://p:99999", "http://p:0", "http://p:x", "http://", "x y", '"http://p:1"')
        ),
        *((text, "is not the URL of a proxy") for text in ("http://p:1 # ours", "http:/p", "http://xn--a", "://")),
        *((text, "needs the package socksio") for text in ("socks5://secret@p:1080", "SOCKS5H://p")),
        *((text, "which is not supported") for text in ("socks4://p", "ftp://secret@p", "socks://p")),
    ],
)
def test_invalid_proxy_gives_one_error_message(variable: str, text: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, text)

    with pytest.raises(InvalidNetworkSetting, match=f"^{variable} .*{words}.* What to do: ") as caught:
        KlaviyoClient(ApiKey(KEY))
    assert "secret" not in str(caught.value)


def test_proxy_settings_do_not_affect_requests_to_this_machine(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    server.respond_with(page("a"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "socks4://[")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")

    assert read_lists(server)[0] == ["a"]


def missing(folder: Path) -> Path:
    return folder / "missing"


def empty(folder: Path) -> Path:
    (folder / "empty").touch()
    return folder / "empty"


def garbage(folder: Path) -> Path:
    (folder / "garbage").write_bytes(bytes(range(256)))
    return folder / "garbage"


def broken(folder: Path) -> Path:
    (folder / "broken").write_text(Path(certifi.where()).read_text()[:3000].replace("M", "!"))
    return folder / "broken"


def itself(folder: Path) -> Path:
    return folder


def quoted(folder: Path) -> Path:
    return Path(f'"{certifi.where()}"')


@pytest.mark.parametrize("path", [missing, empty, garbage, broken, itself, quoted])
def test_unreadable_certificates_give_one_error_message(path: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(path(tmp_path)))

    with pytest.raises(InvalidNetworkSetting, match=r"^SSL_CERT_FILE \(.*\) cannot be used \(.*\)\. What to do: Set it to a file"):
        KlaviyoClient(ApiKey(KEY))


@pytest.mark.parametrize("path", [missing, empty, itself])
def test_folder_without_certificates_gives_one_error_message(path: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(path(tmp_path)))

    with pytest.raises(InvalidNetworkSetting, match=r"^SSL_CERT_DIR \(.*\) contains no certificates that OpenSSL can find"):
        KlaviyoClient(ApiKey(KEY))


def test_one_of_several_folders_must_have_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "5ed36f99.0").write_text(Path(certifi.where()).read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")
    monkeypatch.setenv("SSL_CERT_DIR", f"{missing(tmp_path)}:{tmp_path}")

    assert tls_context(KLAVIYO).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("path", [missing, empty])
def test_a_damaged_list_of_trusted_certificates_is_named_without_a_variable(
    path: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certifi.where", lambda: str(path(tmp_path)))
    monkeypatch.setattr(network, "_trusted", network._trusted.__wrapped__)

    with pytest.raises(InvalidNetworkSetting, match=r"^The list of trusted certificates cannot be used \(.+\)\. What to do: Reinstall certifi"):
        KlaviyoClient(ApiKey(KEY))


def test_custom_certificates_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Path(certifi.where()).read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    (tmp_path / "own.pem").write_text(first)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))

    assert len(tls_context(KLAVIYO).get_ca_certs()) == 1


def test_error_names_an_unwritable_key_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.pem").write_text(Path(certifi.where()).read_text())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys"))

    with pytest.raises(InvalidNetworkSetting, match=r"^SSLKEYLOGFILE \(.*\) cannot be used"):
        tls_context(KLAVIYO)


BAD_URLS = {
    "a.klaviyo.com": "is not a URL",
    "ftp://a.klaviyo.com": "is not a URL",
    "https:/a.klaviyo.com": "is not a URL",
    "https://": "is not a URL",
    "https://:443": "has no host",
    "https://a.klaviyo.com:x": "is not a URL",
    "https://a.klaviyo.com:99999": "is not a URL",
    "https://a.klaviyo.com:-1": "is not a URL",
    "https://a.klaviyo.com:443:443": "is not a URL",
    "https://a.klaviyo.com:": "has no port",
    "https://a.klaviyo.com:0": "has the port 0",
    "https://[::1": "is not a URL",
    "https://::1]": "is not a URL",
    "https://[::1]x": "has an invalid host",
    "https://[zz]": "is not a URL",
    "https://a klaviyo.com": "has a space",
    "https://a.klaviyo.com\n": "has a space",
    "https://a..klaviyo.com": "has an invalid host",
    "https://1.2.3.4.5": "has an invalid host",
    "https://256.1.1.1": "has an invalid host",
    "https://xn--a": "has an invalid host",
    "https://ä.example": "has an invalid host",
    "https://a\\b": "has an invalid host",
    "https://'a.klaviyo.com'": "has an invalid host",
    "https://a.klaviyo.com/klaviyo": "must be scheme, host and port only",
    "https://a.klaviyo.com/?x=1": "must be scheme, host and port only",
    "https://a.klaviyo.com#x": "must be scheme, host and port only",
    "https://user:secret@a.klaviyo.com": "must not contain a user or a password",
    "https://secret@[::1]": "must not contain a user or a password",
    "http://a.klaviyo.com": "is plain http to another machine",
    "http://sandbox:8020": "is plain http to another machine",
    "http://10.0.0.1": "is plain http to another machine",
    "http://[2001:db8::1]": "is plain http to another machine",
}


@pytest.mark.parametrize(("url", "words"), BAD_URLS.items(), ids=ascii)
def test_invalid_base_url_gives_one_error_message(url: str, words: str) -> None:
    with pytest.raises(InvalidBaseUrl, match=words):
        checked_base_url(url)
    with pytest.raises(InvalidNetworkSetting, match=f"^KLAVIYO_BASE_URL {words}") as caught:
        KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["https://a.klaviyo.com/", "HTTPS://A.Klaviyo.com:443", "http://127.1:80", "http://[::ffff:127.0.0.1]", "https://a.xn--zca.de", "https://a_b.c"],
)
def test_other_base_urls_are_accepted(url: str) -> None:
    KlaviyoClient(ApiKey(KEY), ClientSettings(base_url=url))


@given(st.text())
def test_any_accepted_base_url_is_valid_for_httpx(text: str) -> None:
    for url in (text, f"https://{text}"):
        try:
            checked_base_url(url)
        except InvalidBaseUrl:
            continue
        assert httpx.URL(url).host
