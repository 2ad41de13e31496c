"""Migrations of existing tables: columns that change their type, and values that move from ``_extra`` into new columns."""
