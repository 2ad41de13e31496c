"""Loads staged rows into DuckDB tables, in short transactions.

A sync accesses its tables through ``loader``. ``rows`` writes new and changed rows, ``deletions`` marks deleted ones, ``views`` builds the views of
metrics, ``rewrites`` changes stored rows after a field rule or a column has changed. ``schema`` creates the tables, and ``integrity`` finds out what
happened to them between syncs. ``access`` reads what is stored, for planning; ``children`` compares the children of parents with Klaviyo's counts;
``parts`` divides work that does not fit into memory.
"""
