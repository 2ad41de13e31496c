"""The types of the functions by which the steps after the plan fetch and load more."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from klaviyo_assets.decode import Page
from klaviyo_assets.extract.slices import AnySlice

FetchSlices = Callable[[Sequence[AnySlice]], Awaitable[tuple[Path, ...]]]
"""Fetches and loads slices, and returns the files with the keys of their records."""

LoadPages = Callable[[Sequence[Page]], Awaitable[None]]
"""Loads records that were looked up."""
