"""Fills a database once for several tests: each gets a copy."""

import shutil
from collections.abc import Callable
from pathlib import Path

from klaviyo_assets.warehouse import LocalFile


def fill_once(warehouse: LocalFile, copy: Path, fill: Callable[[], object]) -> None:
    """Fill a new database, or copy the files of one that an earlier call has filled.

    Args:
        warehouse: A database without a file yet, in a folder of its own.
        copy: Where the first call leaves a copy of the folder for later ones.
        fill: Fills the database.
    """
    folder = warehouse.path.parent
    if copy.exists():
        shutil.copytree(copy, folder, dirs_exist_ok=True)
    else:
        fill()
        shutil.copytree(folder, copy)
