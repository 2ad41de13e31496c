r"""Repairs JSON that escapes half a character.

Text cut in the middle of an emoji leaves a lone surrogate escape (``\ud83d``). JavaScript and Python write such JSON, strict parsers and DuckDB's
JSON type refuse it, and one such value would stop a whole page for ever.
"""

import re

_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def escape_lone_surrogates(data: bytes) -> bytes:
    r"""Turn each lone surrogate escape into the six characters that name it (``\ud83d`` becomes ``\\ud83d``).

    Everything else, pairs of surrogates included, stays byte for byte.

    Example:
        >>> escape_lone_surrogates(rb'"cut \ud83d, whole \ud83d\ude00"')
        b'"cut \\\\ud83d, whole \\ud83d\\ude00"'
    """
    pieces: list[bytes] = []
    done = 0
    for start in lone_surrogates(data):
        pieces += [data[done:start], b"\\"]
        done = start
    return b"".join([*pieces, data[done:]])


def lone_surrogates(data: bytes) -> list[int]:
    """Return where lone surrogate escapes begin; each is six bytes long."""
    found: list[int] = []
    escapes = list(_ESCAPE.finditer(data))
    index = 0
    while index < len(escapes):
        escape = escapes[index]
        follower = escapes[index + 1] if index + 1 < len(escapes) else None
        if _is_high(escape) and follower is not None and follower.start() == escape.end() and _is_low(follower):
            index += 2
            continue
        if _is_high(escape) or _is_low(escape):
            found.append(escape.start())
        index += 1
    return found


def _code(escape: re.Match[bytes]) -> int:
    return int(escape[1], 16) if escape[1] else 0


def _is_high(escape: re.Match[bytes]) -> bool:
    return 0xD800 <= _code(escape) <= 0xDBFF


def _is_low(escape: re.Match[bytes]) -> bool:
    return 0xDC00 <= _code(escape) <= 0xDFFF
