"""The rows of a report's document, computed without the library's decoder."""

from datetime import date, datetime
from typing import Any

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.report_columns import groupings_of, statistics_of

Key = tuple[str, ...]
Rows = dict[Key, tuple[float, ...]]
"""Statistics by groupings and day (of a series) or first day of the year."""


def rows_of(name: str, attributes: dict[str, Any], first: date) -> Rows:
    """Return the rows of a report's document.

    Args:
        name: The resource type.
        attributes: The document's attributes.
        first: First day of the requested window.
    """
    entry = CATALOG[name]
    found: Rows = {}
    for result in attributes["results"]:
        key = tuple(result["groupings"][one] or "" for one in groupings_of(entry))
        values = [result["statistics"][one] for one in statistics_of(entry)]
        if "date_times" in attributes:
            found |= {
                (*key, datetime.fromisoformat(day).date().isoformat()): tuple(map(float, of_day))
                for day, *of_day in zip(attributes["date_times"], *values, strict=True)
            }
        else:
            found[*key, first.isoformat()] = tuple(map(float, values))
    return found
