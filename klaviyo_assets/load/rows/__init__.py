"""Writes rows: upserts of staged files, full reads that replace a table, and what is recorded about the changed rows."""
