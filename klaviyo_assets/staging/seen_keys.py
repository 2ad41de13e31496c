"""Keeps the keys of the records that a read returned in small files until the read ends, to find rows that were not returned.

The staged rows themselves are deleted as soon as they are loaded, so the number of staged files stays low however much is read.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from klaviyo_assets._internal import private_files


def keep_columns(files: Sequence[Path], columns: Sequence[str]) -> list[Path]:
    """Copy some columns of staged files into one file in the same folder.

    Args:
        files: Parquet files of one folder.
        columns: The columns to copy.

    Returns:
        The file; empty if there are no files.
    """
    if not files:
        return []
    path = files[0].with_name(f"keys-{files[0].name}")
    frame = pl.scan_parquet(list(files), hive_partitioning=False).select(*columns).collect()
    with private_files.new_file(path) as file:
        frame.write_parquet(file, compression="zstd", compression_level=1)
    return [path]
