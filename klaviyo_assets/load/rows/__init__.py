"""Writes rows, and records what was changed.

``upsert`` loads staged files and decides which version of a record wins, ``rebuild`` replaces a table with a full read, ``computed`` adds columns
that are computed from JSON. ``period_recorder`` records the days with changed rows, ``null_rate_recorder`` columns that lose their values.
"""
