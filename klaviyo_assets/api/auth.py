"""The private API key: its validation before the first request, and the Authorization header.

Source: https://developers.klaviyo.com/en/docs/authenticate_
"""

import contextlib
import ipaddress
import re
import warnings
from collections.abc import Generator
from typing import NoReturn

import httpx

from klaviyo_assets._internal.option import QUOTES
from klaviyo_assets.api.klaviyo_errors import ApiKeyMalformed, ApiKeyMissing, ForeignLink

KEY_LENGTH = 37
"""Length of the private keys seen in practice (``pk_`` and 34 more characters). Klaviyo does not document it, so another length only warns."""

_PREFIXES = ("klaviyo-api-key", "bearer", "authorization:", "token")
_MASK = re.compile(r"(?:pk_)?[*•●∙·⁎∗＊…]{2,}\w{0,4}")  # some masks end with the key's last characters


class ApiKey:
    """A private API key, masked in ``str`` and ``repr``.

    Example:
        >>> ApiKey("pk_0123456789abcdef0123456789abcdef01")
        ApiKey('pk_***')
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the key itself. Use it only for the Authorization header and for fingerprints."""
        return self._text

    def __repr__(self) -> str:
        return "ApiKey('pk_***')"

    def __str__(self) -> str:
        return "pk_***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("An API key cannot be pickled: the pickle would expose it.")


class ApiKeyWarning(UserWarning):
    """The key passed validation, but something about it is unusual."""


def parse_api_key(text: str | None) -> ApiKey:
    """Validate the configured text and return the key.

    Surrounding white space is stripped with a warning; an unusual length warns.

    Args:
        text: The configured text.

    Raises:
        ApiKeyMissing: It is unset or empty.
        ApiKeyMalformed: It cannot be a private API key; the message says why and never shows the text.
    """
    if text is None or not text.strip():
        raise ApiKeyMissing("KLAVIYO_API_KEY is not set." if text is None else "The Klaviyo API key is empty.")
    key, was_stripped = ApiKey(text.strip()), text.strip() != text
    del text  # tracebacks with local variables would show it
    if was_stripped:
        _warn("The Klaviyo API key had white space or a newline around it, which was stripped.")
    if error := _malformed(key.reveal()):
        raise error
    if (length := len(key.reveal())) != KEY_LENGTH:
        _warn(f"The Klaviyo API key is {length} characters long; keys usually have {KEY_LENGTH}. Was it copied whole?")
    return key


def _malformed(key: str) -> ApiKeyMalformed | None:
    """Return the error for a malformed key, or None. The caller raises it, so the traceback has no frame with the key in a variable."""
    if _MASK.fullmatch(key):
        return ApiKeyMalformed(
            "The Klaviyo API key is a row of asterisks: a masked key, not the key itself.",
            advice="If the run was launched from a launchpad, delete the resources: block of its run config and launch again: the key then comes "
            "from the code location's own setting. Otherwise copy the full key again.",
        )
    if key[0] in QUOTES or key[-1] in QUOTES:
        return ApiKeyMalformed("The Klaviyo API key has quotes around it.", advice="Remove the quotes; the key itself starts with pk_.")
    for prefix in _PREFIXES:
        if key.lower().startswith(prefix) and not key.startswith("pk_"):
            return ApiKeyMalformed(
                f"The Klaviyo API key begins with “{key[: len(prefix)]}”, which is part of the HTTP header and not of the key.",
                advice="Keep only the part that starts with pk_.",
            )
    if re.search(r"\s", key):
        return ApiKeyMalformed("The Klaviyo API key has a space or a line break inside it.", advice="Copy it again, in one piece and on one line.")
    if re.fullmatch(r"[A-Za-z0-9]{6}", key):
        return ApiKeyMalformed(
            "This is a public API key (site id, six characters); it cannot read data.",
            advice="Create a private API key in Klaviyo (Settings > API keys): it starts with pk_.",
        )
    if not key.startswith("pk_"):
        return ApiKeyMalformed("The Klaviyo API key does not start with pk_, so it is not a private API key.")
    if not re.fullmatch(r"pk_[A-Za-z0-9_\-]+", key):
        return ApiKeyMalformed("The Klaviyo API key contains invalid characters.")
    return None


def _warn(message: str) -> None:
    warnings.warn(message, ApiKeyWarning, stacklevel=3)


class KlaviyoAuth(httpx.Auth):
    """Adds the Authorization header to requests to the configured origin.

    Args:
        key: The private API key.
        base_url: URL of the only origin (scheme, host, port) that may receive the key.

    Raises:
        ForeignLink: On a request to any other origin; nothing is sent.
    """

    def __init__(self, key: ApiKey, base_url: httpx.URL) -> None:
        self._key = key
        self._origin = origin(base_url)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header (httpx calls this)."""
        if origin(request.url) != self._origin:
            raise ForeignLink(f"Refused to send the API key to {named_origin(request.url)}.")
        request.headers["Authorization"] = f"Klaviyo-API-Key {self._key.reveal()}"
        yield request


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Return the scheme, host and port of a URL, with the scheme's default port filled in and IPv6 addresses in their shortest form.

    Uses the raw host: httpx's ``host`` decodes internationalized names (``xn--…``), which can raise.
    """
    default_ports = {"http": 80, "https": 443}
    host = url.raw_host.decode("ascii", "backslashreplace").lower()
    with contextlib.suppress(ValueError):  # a name, or an IPv4 address
        host = str(ipaddress.IPv6Address(host.replace("%25", "%")))
    return url.scheme, host, default_ports.get(url.scheme) if url.port is None else url.port


def named_origin(url: httpx.URL) -> str:
    """Return the scheme, host and port of a URL for a message. The rest may contain secrets."""
    return f"{url.scheme}://{url.netloc.decode('ascii', 'backslashreplace')}"
