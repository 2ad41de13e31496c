"""Names that need no quotes in SQL; names of accounts and of environment variables have the same form."""

import re

PATTERN = r"[A-Za-z_][A-Za-z0-9_]*"
"""Regular expression of an identifier, to use in another one."""

_PATTERN = re.compile(PATTERN)


def is_identifier(name: str) -> bool:
    """Return whether a name is an identifier. Keywords are identifiers too.

    Example:
        >>> is_identifier("my_shop"), is_identifier("my-shop")
        (True, False)
    """
    return _PATTERN.fullmatch(name) is not None
