"""Validation of the base URL, and recognition of loopback addresses.

Does not import httpx, so code locations load faster.
"""

import ipaddress
import re
import socket
from urllib.parse import urlsplit

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_BRACKETED = re.compile(r"\[[^\[\]]+\](:\d+)?")
_SPACE_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f]")


class InvalidBaseUrl(ValueError):
    """A base URL cannot be used. The text is a predicate; the caller puts the setting's name in front of it."""


class PlainHttp(InvalidBaseUrl):
    """A base URL would send the API key unencrypted to another machine."""


def checked_base_url(text: str, *, allow_http: bool = False) -> str:
    """Validate a base URL and return it without trailing slashes.

    Args:
        text: Scheme, host and port of the API.
        allow_http: Accept plain http to another machine too.

    Raises:
        PlainHttp: If the API key would be sent to another machine unencrypted.
        InvalidBaseUrl: If it is not exactly scheme, host and port.
    """
    if _SPACE_OR_CONTROL.search(text):
        raise InvalidBaseUrl("has a space or a line break in it")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidBaseUrl(f"is not a URL ({error})") from None
    if parts.scheme not in {"https", "http"} or not parts.netloc:
        raise InvalidBaseUrl("is not a URL")
    if "@" in parts.netloc:
        raise InvalidBaseUrl("must not contain a user or a password; the key goes into KLAVIYO_API_KEY")
    _check_host(host, parts.netloc)
    if port == 0 or parts.netloc.endswith(":"):
        raise InvalidBaseUrl("has no port after the colon" if port is None else "has the port 0, which is invalid")
    if parts.path.strip("/") or "?" in text or "#" in text:
        raise InvalidBaseUrl("must be scheme, host and port only; the rest would not be sent")
    if parts.scheme == "http" and not is_loopback(host) and not allow_http:
        raise PlainHttp("is plain http to another machine, which would send the API key unencrypted")
    return text.rstrip("/")


def without_user(text: str) -> str:
    """Mask the user and password of a URL, for messages.

    Example:
        >>> without_user("https://ann:secret@example.com")
        'https://***@example.com'
    """
    return re.sub(r"^([^/]*//|)[^/]*@", r"\1***@", text)


def _check_host(host: str, netloc: str) -> None:
    if not host:
        raise InvalidBaseUrl("has no host")
    if netloc.startswith("["):
        good = _BRACKETED.fullmatch(netloc) is not None and isinstance(_address(host.partition("%")[0]), ipaddress.IPv6Address)
    elif host.rstrip(".").rpartition(".")[2].isdigit():
        good = _address(host) is not None
    else:
        good = _HOST.fullmatch(host) is not None and _is_idna(host)
    if not good:
        raise InvalidBaseUrl(f"has an invalid host ({host!r})")


def _is_idna(host: str) -> bool:
    """Return whether the ``xn--`` labels of a host can be decoded, as httpx requires."""
    if "xn--" not in host:
        return True
    import idna  # a dependency of httpx; rarely needed

    try:
        idna.decode(host)
    except UnicodeError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine. Does not resolve names.

    Example:
        >>> [is_loopback(host) for host in ("127.0.0.2", "api.localhost", "::ffff:127.0.0.1", "a.klaviyo.com")]
        [True, True, True, False]
    """
    name = host.strip("[]").partition("%")[0].lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    # A connection to the unspecified address (0.0.0.0, ::) reaches this machine too.
    return address is not None and (address.is_loopback or address.is_unspecified)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        pass
    try:
        # The short and numeric forms that resolvers accept, such as 127.1 and 0x7f000001.
        return ipaddress.IPv4Address(socket.inet_aton(name)) if name[:1].isdigit() else None
    except (OSError, UnicodeError):
        return None
