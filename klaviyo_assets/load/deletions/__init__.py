"""Marks rows as deleted that complete reads did not return.

``deletions`` marks rows. ``child_deletions`` decides which ones at the end of a sync of a child type, ``report_ending`` at the end of a report.
"""
