"""Decode: page bytes to typed Polars frames, driven by the catalog. Pure: no I/O, no state."""

from klaviyo_assets.decode.page import Page, PageDecoder, frame_of
from klaviyo_assets.decode.schema import EXTRA, ODD_TEXT, RELATIONSHIP, SYNCED_AT, frame_schema

__all__ = ["EXTRA", "ODD_TEXT", "RELATIONSHIP", "SYNCED_AT", "Page", "PageDecoder", "frame_of", "frame_schema"]
