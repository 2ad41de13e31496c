"""Finds what happened to a table outside of syncs: lost rows, changes by other programs, dates from a wrong clock."""
