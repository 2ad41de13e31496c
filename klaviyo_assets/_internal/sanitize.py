"""Text of others (names, values, error details) on its way to a terminal, a log or the UI, where it must only be read.

A value may hold escape sequences that a terminal obeys, line breaks that forge a log line, marks that turn the direction of writing, Markdown that
loads a picture from somewhere, or HTML. In the tables it stays unchanged.
"""

import re

LONGEST = 500
"""Characters of a text that are shown."""

# Control characters (C0, DEL, C1), marks that turn the direction of writing, other line breaks, and halves of surrogate pairs.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~$])")
_LINK = re.compile(r"(?<=\w):(?=//)|(?<=\bwww)\.", re.IGNORECASE)


def one_line(text: str, longest: int = LONGEST) -> str:
    r"""Return a text as one line in which nothing has an effect: control characters are written out, and what is too long is cut.

    Example:
        >>> one_line("Sale\x1b[2J\nERROR")
        'Sale\\x1b[2J\\nERROR'
    """
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    return _CONTROL.sub(_written_out, text)


def markdown(text: str, longest: int = LONGEST) -> str:
    r"""Return a text so that Markdown shows it as it is: no markup, no HTML, no picture, no link.

    Example:
        >>> markdown("<b>50 %</b> | *now*")
        '&lt;b&gt;50 %&lt;/b&gt; \\| \\*now\\*'
    """
    shown = _MARKUP.sub(r"\\\1", one_line(text, longest).translate(_ENTITIES))
    return _LINK.sub(lambda found: f"&#{ord(found[0])};", shown)


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
