"""Filter expressions in Klaviyo's grammar. Source: https://developers.klaviyo.com/en/docs/filtering_ ."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime


def filter_instant(value: datetime) -> str:
    """Format an instant for Klaviyo's filters: RFC 3339, UTC, unquoted, with ``Z`` (a ``+`` would become a space in a URL).

    Example:
        >>> filter_instant(datetime(2026, 1, 2, tzinfo=UTC))
        '2026-01-02T00:00:00Z'
    """
    text = value.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{text}Z"


def compare(operator: str, field: str, value: datetime) -> str:
    """Compare a time field with an instant.

    Example:
        >>> compare("less-than", "updated", datetime(2026, 1, 2, tzinfo=UTC))
        'less-than(updated,2026-01-02T00:00:00Z)'
    """
    return f"{operator}({field},{filter_instant(value)})"


def equals(field: str, value: str) -> str:
    """Match records whose field is a text.

    Example:
        >>> equals("metric_id", "Y6nRLr")
        'equals(metric_id,"Y6nRLr")'
    """
    return f"equals({field},{json.dumps(value)})"


def any_of(field: str, values: Iterable[str]) -> str:
    """Match records whose field is one of the values.

    Example:
        >>> any_of("id", ["a", "b"])
        'any(id,["a","b"])'
    """
    # Other letters as they are: Klaviyo documents no escapes such as \u00f6, and an id that is not found would count as deleted.
    return f"any({field},{json.dumps(list(values), ensure_ascii=False, separators=(',', ':'))})"


def all_of(*expressions: str) -> str:
    """Join expressions with ``and``; a single one is returned unchanged.

    Example:
        >>> all_of("equals(a,1)", "equals(b,2)")
        'and(equals(a,1),equals(b,2))'
    """
    return expressions[0] if len(expressions) == 1 else f"and({','.join(expressions)})"
