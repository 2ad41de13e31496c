"""The page size of requests: the endpoint's maximum, and less where records are so big that a page would not fit into memory."""

from dataclasses import dataclass

MOST_BYTES_A_PAGE = 48 * 2**20
"""Bytes that a page of more than one record may have; above that, fewer records are requested. The client limits a single record."""

_FACTOR = 8
"""The number of records is divided by this, and multiplied by it again."""

_SMALL = 16
"""A page is small if it has at most one part in so many of the bytes that it may have: ``_FACTOR`` times as many records fit with room to spare."""

_SMALL_PAGES = 4
"""Consecutive small pages before more records are requested again; multiplied by itself each time that this was too early."""

_MOST_PATIENCE = 256
"""Upper bound of the small pages to wait for."""


@dataclass
class PageSize:
    """The page size of one cursor chain. It changes only where the chain can be restarted.

    Attributes:
        largest: The endpoint's maximum; None where it has no page size.
        records: What is requested now.

    Example:
        >>> size = PageSize(1000)
        >>> size.shrink()
        >>> size.parameters
        {'page[size]': '125'}
    """

    largest: int | None
    records: int = 0
    _small: int = 0
    _patience: int = _SMALL_PAGES
    _has_grown: bool = False

    def __post_init__(self) -> None:
        """Start with the largest pages."""
        self.records = self.records or self.largest or 0

    @property
    def parameters(self) -> dict[str, str]:
        """Query parameters."""
        return {"page[size]": str(self.records)} if self.largest is not None else {}

    @property
    def most_bytes(self) -> int | None:
        """Bytes that a page may have; None where fewer records cannot be requested."""
        return MOST_BYTES_A_PAGE if self.records > 1 else None

    def shrink(self, known: int = 0) -> None:
        """Request fewer records after a page that was too large.

        Args:
            known: What another chain of the same collection requests by now; used where it is fewer, so that not every chain finds out by itself.
        """
        fewer = max(1, self.records // _FACTOR)
        self.records = min(fewer, known or fewer)
        self._small = 0
        if self._has_grown:
            self._patience, self._has_grown = min(_MOST_PATIENCE, self._patience * _SMALL_PAGES), False

    def note(self, size: int) -> bool:
        """Count a page, and return whether more records may be requested.

        Args:
            size: Its bytes.
        """
        self._small = self._small + 1 if size * _SMALL <= MOST_BYTES_A_PAGE else 0
        return self.largest is not None and self.records < self.largest and self._small >= self._patience

    def grow(self) -> None:
        """Request more records again."""
        assert self.largest is not None
        self.records, self._small, self._has_grown = min(self.largest, self.records * _FACTOR), 0, True

    def copy(self) -> "PageSize":
        """Return the state for a chain that begins during or after this one."""
        return PageSize(self.largest, self.records, 0, self._patience, self._has_grown)
