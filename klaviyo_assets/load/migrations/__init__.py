"""Migrations of existing tables.

``change_type`` migrates columns that change their type, ``promote_extra`` values that move from ``_extra`` into new columns, and ``fill_within``
columns whose values are inside stored JSON.
"""
