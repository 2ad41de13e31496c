"""Loads staged rows into DuckDB tables, in short transactions.

``loader`` is one sync's access to its tables, ``upsert`` has the SQL, ``tables`` the table definitions, ``divide`` splits loads that do not fit into
memory, ``foreign_objects`` protects objects of other programs in the schema, ``reapply_rules`` applies changed field rules to stored rows.
"""
