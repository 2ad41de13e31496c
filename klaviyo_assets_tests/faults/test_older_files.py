"""Database files of earlier versions of this library are migrated, and later syncs lose nothing.

Each file in ``files`` holds the account below, synced by the version with that layout number. To add one, run
``python -m klaviyo_assets_tests.faults.test_older_files FILE`` with that version.
"""

import gzip
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.state.schema_version import LAYOUT
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets.warehouse.ddl import table_exists
from klaviyo_assets_tests.accounts import COLLECTIONS, local_file, query, small, sync, table, truth

pytestmark = [pytest.mark.duckdb, pytest.mark.long]

FILES = sorted((Path(__file__).parent / "files").glob("*.duckdb.gz"))


def account() -> SandboxProcess:
    """Return the account that the files hold, not started yet."""
    base = datetime(2026, 3, 10, 12, tzinfo=UTC)
    # Without tags, which did not exist then: they would change all that is generated after them.
    counts = "tags=0,tag_groups=0"
    sizes = {"events": 120, "profiles": 60, "campaigns": 12, "flows": 4, "lists": 4, "segments": 4, "metrics": 6, "reviews": 20}
    return small(seed=1, counts=counts, history_days=60, base=base, **sizes)


def synced_file(warehouse: LocalFile) -> bytes:
    """Sync the account twice, seven hours apart, and return the file."""
    with account() as sandbox:
        for hours in (7, 0):
            for name in COLLECTIONS:
                sync(name, sandbox, warehouse)
            sandbox.advance(timedelta(hours=hours))
    query(warehouse, "CHECKPOINT")
    return gzip.compress(warehouse.path.read_bytes(), mtime=0)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.split(".")[0])
def test_file_of_an_earlier_version_can_be_synced(file: Path, warehouse: LocalFile) -> None:
    warehouse.path.write_bytes(gzip.decompress(file.read_bytes()))
    with warehouse.connection() as connection:
        types = [name for name in COLLECTIONS if table_exists(connection, "klaviyo", name)]  # later versions added types
    before = {name: set(table(warehouse, name)["id"]) for name in types}
    with account() as sandbox:
        sandbox.advance(timedelta(days=3))
        sandbox.change("event")
        for name in types:
            # Events got their attributions later: unless that is accepted, a sync reads all of them again.
            report = sync(name, sandbox, warehouse, SyncOptions(accept_changed_options=name == "events"))

            held = table(warehouse, name)
            assert before[name] <= set(held["id"])
            assert before[name], "the file has records of each type"
            if isinstance(CATALOG[name].replication, FullTable):
                assert_frame_equal(held, truth(sandbox, name), check_column_order=False)
            else:
                assert report.row.records_read < held.height, "covered windows are not read again"
                sync(name, sandbox, warehouse, SyncOptions(mode=SyncMode.full))
                assert_frame_equal(table(warehouse, name), truth(sandbox, name), check_column_order=False)
    assert query(warehouse, "SELECT version FROM _layout") == [(LAYOUT,)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        Path(sys.argv[1]).write_bytes(synced_file(local_file(Path(folder))))
