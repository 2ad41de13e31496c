"""Parses the header of a model: the ``--`` lines before its statement.

Each field is a line ``-- name: text``; lines with at least two spaces after the dashes continue it. The header ends at the first other line.

Example::

    -- description: One row per day and currency.
    -- key: day, currency
    -- column day: Day in the account's time zone.
    -- column currency: ISO code.
    -- column revenue: Sum of the values of orders.
    -- metadata revenue: sum(revenue)
    -- check not_negative: SELECT * FROM revenue_daily WHERE revenue < 0
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from klaviyo_assets._internal import identifiers
from klaviyo_assets.marts.mart_errors import InvalidModel
from klaviyo_assets.marts.model import Check, Header, HeaderQuery, Scope

_FIELD = re.compile(rf"-- ?(?P<kind>[a-z]+)(?: (?P<name>{identifiers.PATTERN}))?: *(?P<text>.*)")
_PART_OF_A_SCHEMA = re.compile(r"[a-z][a-z0-9_]*")
_CONTINUED = re.compile(r"--  +(?P<text>\S.*)")
_NAMELESS, _NAMED = ("description", "key", "incremental", "view"), ("column", "metadata", "check", "warn")


@dataclass
class _Field:
    kind: str
    name: str
    text: str
    line: int


def parse_header(path: Path, text: str) -> Header:
    """Return the header of a file.

    Args:
        path: The file, for messages.
        text: Its text.

    Raises:
        InvalidModel: If a line cannot be understood, or a field is missing or given twice.
    """
    found = list(_fields(path, text))
    _refuse_doubles(path, found)
    one = {entry.kind: entry for entry in found if entry.kind in _NAMELESS}
    for kind in ("description", "key"):
        if kind not in one:
            raise InvalidModel(path, 1, f"The header has no field {kind}.", f"Begin the file with a line: -- {kind}: …")
    columns = {entry.name.lower(): entry.text for entry in found if entry.kind == "column"}
    key = tuple(name.strip().lower() for name in one["key"].text.split(",") if name.strip())
    if not key:
        raise InvalidModel(path, one["key"].line, "The key names no column.", "Name the columns that identify a row: -- key: day, currency")
    if "view" in one and not _PART_OF_A_SCHEMA.fullmatch(one["view"].text):
        raise InvalidModel(path, one["view"].line, f"{one['view'].text!r} cannot be a part of a schema's name.", "Write letters and digits.")
    return Header(
        description=one["description"].text,
        key=key,
        columns=columns,
        scope=_scope(path, one.get("incremental")),
        view=one["view"].text if "view" in one else None,
        metadata=tuple(HeaderQuery(entry.name, entry.text, entry.line) for entry in found if entry.kind == "metadata"),
        checks=tuple(Check(entry.name, entry.text, entry.line, entry.kind == "warn") for entry in found if entry.kind in ("check", "warn")),
    )


def _fields(path: Path, text: str) -> Iterator[_Field]:
    current: _Field | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("--"):
            break
        if current is not None and (continued := _CONTINUED.fullmatch(line)):
            current.text = f"{current.text} {continued['text'].strip()}".strip()
            continue
        field = _FIELD.fullmatch(line.rstrip())
        if field is None or not _is_complete(field):
            raise InvalidModel(
                path,
                number,
                f"This line is no field of the header: {line.strip()!r}.",
                f"Write -- {', '.join(_NAMELESS)} or -- {', '.join(_NAMED)} with a name, then a colon; or an empty line before other comments.",
            )
        if current is not None:
            yield current
        current = _Field(field["kind"], field["name"] or "", field["text"].strip(), number)
    if current is not None:
        yield current


def _is_complete(field: re.Match[str]) -> bool:
    return field["kind"] in (_NAMED if field["name"] else _NAMELESS)


def _refuse_doubles(path: Path, found: list[_Field]) -> None:
    seen: set[tuple[str, str]] = set()
    for entry in found:
        kind = "check" if entry.kind == "warn" else entry.kind
        if (kind, entry.name.lower()) in seen:
            raise InvalidModel(path, entry.line, f"The header has {f'{entry.kind} {entry.name}'.strip()} twice.", "Remove one.")
        if not entry.text:
            raise InvalidModel(path, entry.line, f"The field {f'{entry.kind} {entry.name}'.strip()} is empty.")
        seen.add((kind, entry.name.lower()))


def _scope(path: Path, field: _Field | None) -> Scope | None:
    if field is None:
        return None
    try:
        return Scope(field.text.lower())
    except ValueError:
        raise InvalidModel(
            path, field.line, f"A model cannot be incremental by {field.text!r}.", f"Write one of: {', '.join(Scope)}; or remove the line."
        ) from None
