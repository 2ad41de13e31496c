"""Markdown for the generated parts of the docs."""

from collections.abc import Iterable, Sequence

from klaviyo_assets.catalog.resource_type import ResourceType


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |".replace("|  |", "| |") + "\n" for line in lines)


def in_words(items: Sequence[str]) -> str:
    """Return items as a list in a sentence.

    Example:
        >>> in_words(["a", "b", "c"])
        'a, b and c'
    """
    *others, last = items
    return f"{', '.join(others)} and {last}" if others else last


def title(entry: ResourceType) -> str:
    """Return a type's name as words."""
    return entry.name.replace("_", " ")
