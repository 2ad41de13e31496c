"""Reads what is stored, for planning and for comparisons: one short connection per call."""
