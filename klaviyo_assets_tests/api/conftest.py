"""Fixtures for tests of the client."""

from collections.abc import Iterator

import pytest

from klaviyo_assets_tests.api.scripted import Scripted, scripted_server


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted_server() as script:
        yield script


@pytest.fixture
def elsewhere() -> Iterator[Scripted]:
    """Another host."""
    with scripted_server() as script:
        yield script


@pytest.fixture(autouse=True)
def no_long_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.001)
    monkeypatch.setattr("klaviyo_assets.api.retries.LONGEST_BACKOFF", 0.2)
