"""Marks rows as deleted that complete reads did not return."""
