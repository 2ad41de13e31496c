"""Progress of the extraction of one sync: written by the fetcher, read by the steps after it."""

import math
from collections import deque
from dataclasses import dataclass, field

from klaviyo_assets.extract.slice_reader import SliceReader
from klaviyo_assets.extract.slices import AnySlice


@dataclass
class FetchState:
    """Progress of the extraction of one sync.

    Attributes:
        records_read: Records received within the bounds of the slices.
        readers: Slices that are being read, in the order in which they began.
        waiting: Slices that have not begun, the most urgent first.
        finished: Slices that have been read to their end.
        gone_parents: Ids of parents that no longer exist in Klaviyo.
        incomplete: Ids of records that name a resource which their page did not include.
        refused_includes: Relationships that are read without their resources because the key lacks a scope.
        fetched_by_id: Included resources that a response lacked although its records name them.
    """

    records_read: int = 0
    readers: list[SliceReader] = field(default_factory=list)
    waiting: deque[AnySlice] = field(default_factory=deque)
    finished: list[AnySlice] = field(default_factory=list)
    gone_parents: list[str] = field(default_factory=list)
    incomplete: dict[str, None] = field(default_factory=dict)
    refused_includes: set[str] = field(default_factory=set)
    fetched_by_id: int = 0

    @property
    def pages_expected(self) -> float:
        """Estimate of the pages that are left; infinite while slices are waiting or there is no estimate for one."""
        return math.inf if self.waiting else sum(reader.pages_expected for reader in self.readers)
