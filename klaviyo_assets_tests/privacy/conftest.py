"""Fixtures of the tests that search through files."""

from pathlib import Path

import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets.warehouse import LocalFile, compaction


@pytest.fixture
def plain_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalFile:
    """A database that does not compress, so that a search through its bytes means something; nor does it when it is written anew."""
    plain = {"force_compression": "uncompressed"}
    monkeypatch.setattr(LocalFile, "json_column", "JSON")  # what a column declares for itself would count more
    compact = compaction.compact
    monkeypatch.setattr(compaction, "compact", lambda path, spill, settings: compact(path, spill, {**settings, **plain}))
    config = {"storage_compatibility_version": "v1.5.0", **plain}
    return LocalFile(DuckDBResource(database=str(tmp_path / "klaviyo.duckdb"), connection_config=config))
