"""Masks private API keys in text that is shown or stored."""

import re

_PRIVATE_KEY = re.compile(r"pk_[A-Za-z0-9_\-]{4,}")


def redact(text: str) -> str:
    """Replace everything that looks like a private API key by ``pk_***``.

    Example:
        >>> redact("Authorization: Klaviyo-API-Key pk_0123456789abcdef")
        'Authorization: Klaviyo-API-Key pk_***'
    """
    return _PRIVATE_KEY.sub("pk_***", text)
