"""How much of the machine DuckDB may use, and how long to wait for its file: defaults and bounds. Light to import."""

import re

DEFAULT_MEMORY_LIMIT = "512MB"
"""Several types may be synced on one machine at once, and each process needs memory for Python's libraries too."""

MIN_MEMORY_LIMIT = "128MB"

MEMORY_LIMIT_WORDS = f"a size of at least {MIN_MEMORY_LIMIT} such as 512MB, 2GB or 1GiB, or a share of the machine's memory such as 25%"
"""What a limit must be, for messages."""

MAX_THREADS = 256

PATIENCE = 300.0
"""Seconds to wait by default for another program to close the file."""

_SIZE_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B|%)", re.ASCII | re.IGNORECASE)


def is_memory_limit(text: str) -> bool:
    """Return whether DuckDB accepts a limit and can work with it; DuckDB alone also accepts ``-1`` and a few bytes.

    Example:
        >>> [is_memory_limit(text) for text in ("512MB", "1 GiB", "25%", "100KB", "-1", "much")]
        [True, True, True, False, False, False]
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return False
    if match[2] == "%":
        return 1 <= float(match[1]) <= 100
    return bytes_of(text) >= bytes_of(MIN_MEMORY_LIMIT)


def bytes_of(text: str) -> int:
    """Return the bytes of a size with a unit, such as ``512MB`` or ``488.2 MiB``; 0 if it is none, or smaller than a unit of :data:`_SIZE_UNITS`."""
    match = _SIZE.fullmatch(text.strip())
    return int(float(match[1]) * _SIZE_UNITS.get(match[2].upper(), 0)) if match else 0


def doubled(text: str) -> str:
    """Return twice a size, in whole multiples of 256 MB, as a value of the setting.

    Example:
        >>> doubled("488.2 MiB")
        '1024MB'
    """
    return f"{max(1, round(bytes_of(text) / 128e6)) * 256}MB"
