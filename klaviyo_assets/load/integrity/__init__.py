"""Finds what happened to a table outside of syncs.

``lost_rows`` finds lost rows, ``table_changes`` finds changes by other programs, and ``clock_repair`` corrects dates that a sync with a wrong clock
has written.
"""
