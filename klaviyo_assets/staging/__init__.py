"""Staging: pages as Parquet files in a folder of one sync, with a manifest of the finished slices.

``staging`` is the folder, ``writer`` writes and loads in the background while pages arrive, ``row_bytes`` bounds frames and files by bytes,
``seen_keys`` keeps which records a read returned.
"""
