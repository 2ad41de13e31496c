"""A name on a DNS blocklist is reported as blocked."""

import asyncio
import socket
from typing import Any

import pytest

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.blocked_hosts import blocked_address
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import ConnectionFailed
from klaviyo_assets.api.probe import probe
from klaviyo_assets_tests.api.client_helpers import KEY, LISTS


def resolves(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Resolve every name of this process to these addresses, as a DNS blocklist does for some."""

    def getaddrinfo(_host: object, port: object, *_: Any, **__: Any) -> list[Any]:
        if not addresses:
            raise socket.gaierror(-2, "Name or service not known")
        families = {True: socket.AF_INET6, False: socket.AF_INET}
        return [
            (families[":" in one], socket.SOCK_STREAM, 6, "", (one, int(str(port or 0)), 0, 0) if ":" in one else (one, int(str(port or 0))))
            for one in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "127.0.0.1", "127.0.0.53", "::1"])
def test_blocked_name_is_reported_with_its_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolves(monkeypatch, address)

    async def run() -> None:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(base_url="https://a.klaviyo.com:9", max_retries=0)) as client:
            await probe(client, LISTS)

    with pytest.raises(ConnectionFailed) as caught:
        asyncio.run(run())

    assert f"This machine resolves a.klaviyo.com to {address}" in str(caught.value)
    assert "Pi-hole" in caught.value.advice


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("a.klaviyo.com", ("104.18.1.1",)),
        ("a.klaviyo.com", ("0.0.0.0", "104.18.1.1")),
        ("a.klaviyo.com", ()),
        ("localhost", ("127.0.0.1",)),
        ("api.localhost.", ("127.0.0.1",)),
        ("127.0.0.1", ("127.0.0.1",)),
        ("::1", ("::1",)),
    ],
)
def test_other_names_are_not_reported_as_blocked(host: str, addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    resolves(monkeypatch, *addresses)

    assert asyncio.run(blocked_address(host)) is None
