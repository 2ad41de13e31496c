"""Loads staged rows into DuckDB tables, in short transactions.

``loader`` is the access of one sync to its tables. It uses ``rows`` (written), ``deletions`` (marked), ``views`` (of metrics), ``rewrites``
(of stored rows, for changed field rules), ``schema`` (the tables) and ``integrity`` (what happened to them between syncs). ``access`` reads for
planning, ``children`` compares the children of parents, and ``parts`` divides work that does not fit into memory.
"""
