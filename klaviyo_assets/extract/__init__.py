"""Extract: from a plan of slices to pages, under the rate limit. Knows Klaviyo and HTTP; knows no Dagster and no DuckDB.

``options`` says what is requested of a sync, ``plan`` turns it into slices, ``fetcher`` runs workers over them, ``slice_reader`` follows one cursor
chain, ``lookup`` reads single records by id, ``page_size`` and ``stall`` protect from pages that are too large and chains that do not progress.
"""
