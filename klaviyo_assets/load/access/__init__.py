"""Reads what is stored, for planning and for comparisons: one short connection per call.

``row_access`` is for all types, ``child_access`` for child types, ``incomplete_access`` for rows that lack included resources.
"""
