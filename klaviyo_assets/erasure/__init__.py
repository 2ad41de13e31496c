"""Erases a person from the tables, the staged files and the free blocks of the database file.

``erase`` runs the erasure, ``subject`` holds the person's identifiers, ``resolve`` finds their rows, ``delete`` deletes rows, and ``mentions`` finds
the identifiers in other rows.
"""
