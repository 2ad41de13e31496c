"""Markdown tables."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table.

    Example:
        >>> print(table(["what", "rows/s"], [["events", 55_396.4]]))
        | what | rows/s |
        | --- | --- |
        | events | 55,396 |
    """
    lines = [list(head), ["---"] * len(head), *[[_text(cell) for cell in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:,.1f}" if abs(cell) >= 10 else f"{cell:,.2f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
