"""Erase a person: from the tables, from staged files, and from the free blocks of the database file.

``erase`` runs it; ``subject`` holds the person's identifiers, ``resolve`` finds the rows that belong to them, ``delete`` deletes rows, ``mentions``
finds the identifiers in other people's texts.
"""
