"""How far a cursor chain of a group of parents has been read, so that the next sync can continue it. Data only."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from klaviyo_assets.state.child_parts import ChildPart

CURSOR = "page[cursor]"
"""Query parameter with the position of a page: of ``links.next``, and of a first page that continues a chain."""


@dataclass(frozen=True)
class Position:
    """A position in a cursor chain: everything before it has been read.

    Attributes:
        cursor: Cursor of the next page. It belongs to the chain's query: Klaviyo refuses it for another one.
        pages: Pages before it.
    """

    cursor: str
    pages: int


@dataclass(frozen=True)
class UnfinishedChain:
    """A chain that an interrupted sync has not read to its end; the records before its position are stored.

    Attributes:
        parents: Ids of the parents that its query names, in their order.
        part: Which of their children it reads.
        position: Where it goes on.
        since: When the sync that began the chain started.
    """

    parents: tuple[str, ...]
    part: ChildPart
    position: Position
    since: datetime


def position_after(next_url: str | None, pages: int) -> Position | None:
    """Return the position after a page, or None if its link has no cursor.

    Args:
        next_url: The page's ``links.next``.
        pages: Pages of the chain so far.

    Example:
        >>> position_after("https://a.klaviyo.com/api/coupon-codes?page%5Bcursor%5D=bmV4dA", 3)
        Position(cursor='bmV4dA', pages=3)
    """
    try:
        cursors = parse_qs(urlsplit(next_url or "").query).get(CURSOR, [])
    except ValueError:  # not a URL: following it will say so
        return None
    return Position(cursors[0], pages) if cursors else None
