"""The Klaviyo HTTP client: authentication, rate limits, retries and errors. Independent of Dagster, Polars and DuckDB.

``client`` sends requests: ``auth`` has the key, ``rate_limit`` the pace, ``retries`` when to try again, ``transport`` the connections.
``responses`` turns a response into data or an error, ``denials`` classifies a 403, ``klaviyo_errors`` has the tree of errors. ``scope_check`` and
``probe`` find out which types a key may read.
"""
