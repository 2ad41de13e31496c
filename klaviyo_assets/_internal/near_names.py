"""Finds the names that a misspelled one may mean."""

from collections.abc import Iterable
from difflib import get_close_matches


def near_names(name: str, names: Iterable[str]) -> list[str]:
    """Return up to three names that are like a given one, the most similar first; upper and lower case are the same.

    Example:
        >>> near_names("placed orders", ["Placed Order", "Refunded Order", "Opened Email"])
        ['Placed Order']
    """
    by_lower = {one.lower(): one for one in sorted(names)}
    return [by_lower[one] for one in get_close_matches(name.lower(), by_lower, n=3)]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a question that lists similar names, with a space at its end; empty if there are none."""
    near = near_names(name, names)
    return f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
