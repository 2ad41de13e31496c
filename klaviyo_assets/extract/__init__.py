"""Reads the planned slices page by page, under the rate limit. Depends on Klaviyo and HTTP, not on Dagster or DuckDB.

``sync_options`` defines the options of a sync, ``plan`` turns them into slices, ``fetcher`` runs workers over the slices, ``slice_reader`` follows
one cursor chain, ``lookup`` reads single records by id, ``page_size`` and ``stall`` protect against pages that are too large and chains that make
no progress.
"""
