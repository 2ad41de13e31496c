"""Decodes page bytes to typed Polars frames, as the catalog defines them. Pure."""

from klaviyo_assets.decode.page import Page, PageDecoder, frame_of
from klaviyo_assets.decode.polars_schema import EXTRA, ODD_TEXT, RELATIONSHIP, SYNCED_AT, frame_schema

__all__ = ["EXTRA", "ODD_TEXT", "RELATIONSHIP", "SYNCED_AT", "Page", "PageDecoder", "frame_of", "frame_schema"]
