"""DuckDB's errors as text that may be shown: without values of the data, which may identify a person, and without secrets in addresses."""

import re

import duckdb

_WITHOUT_VALUES = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.PermissionException, duckdb.OperationalError)
"""Errors that name tables, columns and files. All others may quote a value, with any quotes or none."""

_VALUE = re.compile(r"""["':\n]|\S*@|(?<!\w)[-+]?\d""")
"""Where a value may begin."""

_AFTER_VALUE = re.compile(
    r"""(?:(?<=["'])(?P<type> to [A-Z]\w*)|(?P<range> out of range for the destination type \w+))?(?P<column> when casting from source column .*)?$"""
)
"""The end of a message that says what the value should have been."""

_SECRETS = ((re.compile(r"""(://[^\s?'"]+)\?[^\s'"]*"""), r"\1?…"), (re.compile(r"""(?<=://)[^\s/?'"]*@"""), "…@"))


def error_text(error: duckdb.Error) -> str:
    """Return the message of an error as one paragraph, without what it quotes of the statement, of values and of addresses.

    A value is left out with all that follows it, apart from the type and the column of a cast. Words that a statement passes to ``error()`` are shown
    up to the first number, quote, colon or ``@``.

    Example:
        >>> error_text(duckdb.ConversionException("Conversion Error: Could not convert string 'jane@example.com' to INT32"))
        'Conversion Error: Could not convert string … to INT32'
        >>> error_text(duckdb.HTTPException("HTTP Error: HTTP GET error on 'https://example.com/a.csv?signature=1' (HTTP 503)"))
        "HTTP Error: HTTP GET error on 'https://example.com/a.csv?…' (HTTP 503)"
    """
    text = str(error).split("\n\nLINE ")[0]
    if not isinstance(error, _WITHOUT_VALUES) and type(error) is not duckdb.Error:
        text = _without_values(text)
    for secret, shown in _SECRETS:
        text = secret.sub(shown, text)
    return " ".join(text.split())


def _without_values(text: str) -> str:
    kind, separator, what = text.partition(": ")
    begins = _VALUE.search(what)
    if begins is None:
        return text
    ends = _AFTER_VALUE.search(what, begins.end())
    return f"{kind}{separator}{what[: begins.start()].rstrip(' (')} …{ends[0] if ends is not None else ''}"
