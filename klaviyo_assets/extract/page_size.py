"""The page size of requests: the endpoint's maximum, or fewer records if a page would not fit into memory."""

from dataclasses import dataclass

MAX_BYTES_PER_PAGE = 48 * 2**20
"""Maximum bytes of a page with more than one record; above that, fewer records are requested. The client limits a single record."""

_FACTOR = 8
"""Factor by which the number of records shrinks and grows."""

_SMALL = 16
"""A page is small if it has at most this fraction (1/16) of the maximum bytes: ``_FACTOR`` times as many records fit with room to spare."""

_SMALL_PAGES = 4
"""Consecutive small pages before more records are requested again; multiplied by itself each time that proves too early."""

_MAX_PATIENCE = 256
"""Maximum number of small pages to wait for."""


@dataclass
class ChainPageSize:
    """The page size of one cursor chain. It changes only when the chain is restarted.

    Attributes:
        largest: The endpoint's maximum; None if it has no page size.
        records: The current page size.

    Example:
        >>> size = ChainPageSize(1000)
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
    def max_bytes(self) -> int | None:
        """Maximum bytes of a page; None if fewer records cannot be requested."""
        return MAX_BYTES_PER_PAGE if self.records > 1 else None

    def shrink(self, known: int = 0) -> None:
        """Request fewer records after a page that was too large.

        Args:
            known: Current page size of other chains of the same collection; used if it is smaller, so not every chain has to find it out.
        """
        fewer = max(1, self.records // _FACTOR)
        self.records = min(fewer, known or fewer)
        self._small = 0
        if self._has_grown:
            self._patience, self._has_grown = min(_MAX_PATIENCE, self._patience * _SMALL_PAGES), False

    def note(self, size: int) -> bool:
        """Count a page, and return whether more records may be requested.

        Args:
            size: Its bytes.
        """
        self._small = self._small + 1 if size * _SMALL <= MAX_BYTES_PER_PAGE else 0
        return self.largest is not None and self.records < self.largest and self._small >= self._patience

    def grow(self) -> None:
        """Request more records again."""
        if self.largest is not None:
            self.records, self._small, self._has_grown = min(self.largest, self.records * _FACTOR), 0, True

    def copy(self) -> "ChainPageSize":
        """Return the page size for a chain that begins during or after this one."""
        return ChainPageSize(self.largest, self.records, 0, self._patience, self._has_grown)
