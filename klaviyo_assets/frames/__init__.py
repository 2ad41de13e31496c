"""From the bytes of a page to a typed Polars frame, by the catalogue alone. Pure: no I/O, no state."""

from klaviyo_assets.frames.page import Page, PageDecoder, frame_of
from klaviyo_assets.frames.schema import EXTRA, ODD_TEXT, RELATIONSHIP, SYNCED_AT, frame_schema

__all__ = ["EXTRA", "ODD_TEXT", "RELATIONSHIP", "SYNCED_AT", "Page", "PageDecoder", "frame_of", "frame_schema"]
