"""Names in SQL, as they can be pasted into a query."""

import re

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

KEYWORDS = frozenset(
    """
all analyse analyze and anti any array as asc asof asymmetric at authorization between bigint binary bit boolean both by case cast char
character check coalesce collate collation column columns concurrently constraint create cross dec decimal default deferrable desc describe
distinct do else end except exists extract false fetch float for foreign freeze from full generated glob group grouping grouping_id having
ilike in initially inner inout int integer intersect interval into is isnull join lambda lateral leading left like limit map national
natural nchar none not notnull null nullif numeric offset on only or order out outer overlaps overlay pivot pivot_longer pivot_wider placing
position positional precision primary qualify real references returning right row select semi setof show similar smallint some struct
substring summarize symmetric system table tablesample temp then time timestamp to trailing treat trim true try_cast tuple union unique
unpack unpivot using values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest
xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
""".split()  # noqa: SIM905
)
"""Words that DuckDB 1.5 or 2 does not take as the name of a schema or table without quotes (``duckdb_keywords()`` but for the unreserved ones)."""

_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


def pasted(*parts: str) -> str:
    """Return a name of several parts as it can be pasted into SQL, each part in quotes where it needs them.

    Example:
        >>> pasted("my-shop", "order", "events")
        '"my-shop"."order".events'
    """
    return ".".join(part if _PLAIN.fullmatch(part) and part.lower() not in KEYWORDS else '"' + part.replace('"', '""') + '"' for part in parts)


def parts_of(name: str) -> list[str]:
    """Return the parts of a name, without quotes: the opposite of :func:`pasted`."""
    return [(quoted or "").replace('""', '"') or plain for quoted, plain in _PART.findall(name)]
