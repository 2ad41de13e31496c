"""Rewrites published copies after data was removed from the database: by an erasure, or by a changed field rule."""

import logging
import shutil

from klaviyo_assets._internal import private_files
from klaviyo_assets.publish import registry
from klaviyo_assets.publish.publisher import Publisher
from klaviyo_assets.publish.target import PublishTarget
from klaviyo_assets.warehouse.interface import Warehouse, WarehouseError

_log = logging.getLogger("klaviyo_assets")


def rewrite_outdated(warehouse: Warehouse) -> list[str]:
    """Write the copies again that were made before the last compaction. One that cannot be written is deleted, since it holds removed data.

    Args:
        warehouse: The database; compacted if that was requested.

    Returns:
        What was done, one sentence per copy.

    Raises:
        WarehouseError: If the list of copies is damaged; none was written or deleted.
        OSError: If a copy can be neither written nor deleted.
    """
    if not warehouse.capabilities.can_copy:
        return []
    return [_rewrite(warehouse, copy) for copy in registry.outdated(warehouse.state_dir, warehouse.compactions)]


def _rewrite(warehouse: Warehouse, copy: registry.Copy) -> str:
    target = copy.target
    try:
        Publisher(warehouse, target, copy.months).publish(even_if_partial=True)
    except WarehouseError as error:
        _delete(target)
        return f"The published copy {target.file} was deleted, because it held removed data and could not be written again. {error}"
    return f"The published copy {target.file} was written again without the removed data."


def _delete(target: PublishTarget) -> None:
    private_files.remove_file(target.file)
    if target.parquet is not None and target.parquet.exists():
        shutil.rmtree(target.parquet)
