"""What pages and examples read: databases that a sync would have made."""

from datetime import UTC, datetime
from pathlib import Path

from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.publish.publisher import Publisher
from klaviyo_assets.publish.target import PublishTarget
from klaviyo_assets.state.sync_log import SyncLog, SyncLogEntry
from klaviyo_assets_tests.accounts import local_file


def published_copy(folder: Path) -> Path:
    """Write a published copy with some marts of an account without data, and return its file ``published.duckdb``."""
    folder.mkdir(exist_ok=True)
    warehouse = local_file(folder, "shop.duckdb")
    with warehouse.connection() as connection:
        connection.execute("CREATE SCHEMA klaviyo; CREATE TABLE klaviyo.metrics (id VARCHAR)")
        log = SyncLog(connection, warehouse, "klaviyo")
        log.prepare()
        log.insert(SyncLogEntry("a-sync", "metrics", "AbC123", "incremental", datetime(2026, 11, 27, tzinfo=UTC), None, outcome="succeeded"))
    for result in MartRunner(warehouse, "klaviyo", read_models()).run(["account_daily", "campaign_performance", "list_growth_daily"]):
        result.raise_if_failed()
    return Publisher(warehouse, PublishTarget.at(folder / "published.duckdb")).publish().target.file
