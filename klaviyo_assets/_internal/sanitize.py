"""Sanitizes untrusted text (names, values, error details) for a terminal, a log or the UI.

A value may contain terminal escape sequences, line breaks that forge a log line, bidirectional control characters, Markdown that loads an external
image, or HTML. The tables keep it unchanged.
"""

import re

MAX_LENGTH = 500
"""Maximum characters of a text to show."""

# Control characters (C0, DEL, C1), bidirectional control characters, other line breaks, and surrogates.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~$])")
_LINK = re.compile(r"(?<=\w):(?=//)|(?<=\bwww)\.", re.IGNORECASE)


def one_line(text: str, max_length: int = MAX_LENGTH) -> str:
    r"""Return a text as one harmless line: control characters are escaped, and long texts truncated.

    Example:
        >>> one_line("Sale\x1b[2J\nERROR")
        'Sale\\x1b[2J\\nERROR'
    """
    if len(text) > max_length:
        text = f"{text[: max_length - 1]}…"
    return _CONTROL.sub(_escaped, text)


def markdown(text: str, max_length: int = MAX_LENGTH) -> str:
    r"""Escape a text for Markdown: no markup, HTML, images or links.

    Example:
        >>> markdown("<b>50 %</b> | *now*")
        '&lt;b&gt;50 %&lt;/b&gt; \\| \\*now\\*'
    """
    shown = _MARKUP.sub(r"\\\1", one_line(text, max_length).translate(_ENTITIES))
    return _LINK.sub(lambda found: f"&#{ord(found[0])};", shown)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
