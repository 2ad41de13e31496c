"""Names of views and of their columns, from the names of metrics and properties."""

import re
from collections import Counter
from collections.abc import Collection, Iterable

_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_NOT_IN_PATHS = re.compile(r'[\\"\x00-\x1f\x7f\ud800-\udfff]')
_MAX_COLUMN_NAME_LENGTH = 60


def snake_case(name: str) -> str:
    """Return a name in snake case; empty if it has neither letters nor digits.

    Example:
        >>> snake_case("$value"), snake_case("ProductID"), snake_case("Campaign Name")
        ('value', 'product_id', 'campaign_name')
    """
    words = _BETWEEN_WORDS.sub("_", _WORD_ENDS.sub("_", name)).strip("_").lower()[:_MAX_COLUMN_NAME_LENGTH].rstrip("_")
    return f"_{words}" if words[:1].isdigit() else words


def unique_name(wanted: str, taken: Collection[str]) -> str:
    """Return a name that is not taken, with a number at its end if needed. DuckDB ignores the case of names.

    Args:
        wanted: The name; if it is empty, ``unnamed`` is used.
        taken: Names in lower case.
    """
    wanted = wanted or "unnamed"
    numbered = (wanted if number == 1 else f"{wanted}_{number}" for number in range(1, len(taken) + 2))
    return next(name for name in numbered if name.lower() not in taken)


def without_column(names: Iterable[str]) -> set[str]:
    """Return the names of properties that cannot have a column: empty ones, those that differ in case only, and those that no path can name."""
    names = list(names)
    times = Counter(name.lower() for name in names)
    return {name for name in names if not name or times[name.lower()] > 1 or _NOT_IN_PATHS.search(name)}
