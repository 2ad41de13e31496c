"""The proxy and the trusted certificates of a client, from the environment.

Not left to httpx, which raises many types of errors for invalid values, and sends requests to this machine through a proxy too.
"""

import importlib.util
import ipaddress
import os
import re
import ssl
import urllib.request
from functools import cache
from pathlib import Path

import httpx

from klaviyo_assets.api.base_url import is_loopback
from klaviyo_assets.api.klaviyo_errors import InvalidNetworkSetting

_PORTS = {"http": 80, "https": 443}
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")


def proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy for a URL from the environment or the system's settings; None if there is none, or for this machine.

    ``HTTPS_PROXY`` or ``HTTP_PROXY``, by the URL's scheme, else ``ALL_PROXY``; ``NO_PROXY`` lists exceptions. Lower-case names take precedence.

    Raises:
        InvalidNetworkSetting: If the proxy's URL cannot be used; the message names the variable but not its value, which may contain a password.
    """
    proxies = urllib.request.getproxies()
    name = next((name for name in (url.scheme, "all") if proxies.get(name)), None)
    if name is None or is_loopback(url.host) or _is_exempt(url, proxies):
        return None
    return _proxy(proxies[name], _variable(f"{name}_proxy"))


def tls_context(url: httpx.URL) -> ssl.SSLContext:
    """Return a TLS context that trusts the certificates of ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``, else those of certifi.

    Raises:
        InvalidNetworkSetting: If they cannot be read; the message names the variable.
    """
    if url.scheme != "https":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not used
    return _trusted(os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None)


@cache  # loading them takes 40 ms
def _trusted(file: str | None, folder: str | None) -> ssl.SSLContext:
    if file is None and folder is not None:
        _check_folder(folder)
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        reason = error.strerror or str(error)
        variable, advice = _culprit(file, error)
        raise InvalidNetworkSetting(f"{variable} cannot be used ({reason}).", advice=advice) from error


def _culprit(file: str | None, error: OSError) -> tuple[str, str]:
    """Return the variable that caused the error, and advice."""
    log = os.environ.get("SSLKEYLOGFILE")
    if log and not isinstance(error, ssl.SSLError) and error.filename == log:
        return f"SSLKEYLOGFILE ({log})", "Set it to a file that can be written, or unset it."
    if file is not None:
        return f"SSL_CERT_FILE ({file})", "Set it to a file of certificates in PEM format, or unset it to use the usual ones."
    return "The list of trusted certificates", "Reinstall certifi (pip install --force-reinstall certifi), and check SSL_CERT_DIR and OPENSSL_CONF."


def _check_folder(folders: str) -> None:
    """Refuse folders without certificates: OpenSSL would report no error, and trust no certificate."""
    for folder in folders.split(os.pathsep):
        try:
            if any(_HASHED_NAME.fullmatch(path.name) for path in Path(folder).iterdir()):
                return
        except OSError:
            continue
    raise InvalidNetworkSetting(
        f"SSL_CERT_DIR ({folders}) contains no certificates that OpenSSL can find.",
        advice="Set it to a folder that was prepared by `openssl rehash`, set SSL_CERT_FILE to a file, or unset both to use the usual certificates.",
    )


def _variable(name: str) -> str:
    """Return the variable's name as it is spelled in the environment, in lower or upper case."""
    return name if os.environ.get(name) or not os.environ.get(name.upper()) else name.upper()


def _proxy(text: str, variable: str) -> httpx.Proxy:
    try:
        url = httpx.URL(text.strip() if "://" in text else f"http://{text.strip()}")
        is_url, scheme = bool(url.host) and "%" not in url.host and (url.port is None or 0 < url.port < 65536) and not url.fragment, url.scheme
    except (httpx.InvalidURL, ValueError):  # some hosts raise a UnicodeError
        is_url, scheme = False, ""
    advice = f"Set {variable} as in http://proxy.example.com:3128, or unset it."
    if not is_url or ("://" not in text and url.path != "/"):
        raise InvalidNetworkSetting(f"{variable} is not the URL of a proxy.", advice=advice)
    if scheme not in _PROXY_SCHEMES:
        raise InvalidNetworkSetting(f"{variable} names a proxy with the scheme {scheme}, which is not supported.", advice=advice)
    if scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise InvalidNetworkSetting(
            f"{variable} names a SOCKS proxy, which needs the package socksio.", advice=f"pip install 'httpx[socks]', or unset {variable}."
        )
    return httpx.Proxy(url, ssl_context=tls_context(url) if scheme == "https" else None)


def _is_exempt(url: httpx.URL, proxies: dict[str, str]) -> bool:
    """Return whether ``NO_PROXY``, or the system's settings if no variable is set, exempt a URL from the proxy."""
    if "no" not in proxies:
        return bool(urllib.request.proxy_bypass(url.host))
    return any(_matches(entry, url) for entry in re.split(r"[,\s]+", proxies["no"]) if entry)


def _matches(entry: str, url: httpx.URL) -> bool:
    """Return whether an entry of ``NO_PROXY`` matches a URL.

    An entry is ``*``, a host (which includes its subdomains), an address or a network, each with or without scheme and port. Any other entry matches
    nothing.
    """
    scheme, found, rest = entry.rpartition("://")
    if found and scheme.lower() not in ("all", url.scheme):
        return False
    host, port = _split_port(rest.rstrip("/") if found else rest)
    if port is not None and port != (url.port or _PORTS.get(url.scheme)):
        return False
    if host == "*":
        return True
    address = _address(url.host)
    if address is not None:
        network = _network(host)
        return network is not None and address in network
    name, own = host.lower().removeprefix("*").strip("."), url.host.lower().rstrip(".")
    return bool(name) and (own == name or own.endswith(f".{name}"))


def _split_port(text: str) -> tuple[str, int | None]:
    """Split an entry of ``NO_PROXY`` into host and port; IPv6 addresses may have brackets."""
    found = re.fullmatch(r"\[(?P<v6>[^\]]*)\](?::(?P<p6>\d{1,5}))?|(?P<host>[^:]*):(?P<port>\d{1,5})", text, re.ASCII)
    if found is None:
        return text, None
    host, port = found["v6"] if found["v6"] is not None else found["host"], found["p6"] or found["port"]
    return host, int(port) if port else None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.partition("%")[0].strip("[]"), strict=False)
    except ValueError:
        return None
