"""The published copy: what readers open while syncs run, a DuckDB file and, if wanted, Parquet files.

``publisher`` writes the copy to a ``target``, with ``parquet`` files and the ``facts`` about it. ``registry`` lists the copies of a database, and
``refresh`` rewrites them after an erasure.
"""
