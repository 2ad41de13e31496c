"""Stages pages as Parquet files in a folder for each sync, with a manifest of the finished slices.

``staging`` manages the folder, ``background_writer`` writes and loads in the background while pages arrive, ``row_bytes`` limits the bytes of
frames and files, ``seen_keys`` keeps the keys of the records that a read returned.
"""
