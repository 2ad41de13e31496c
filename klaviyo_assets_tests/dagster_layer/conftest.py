"""Fixtures of the tests that run Dagster in this process."""

from collections.abc import Iterator

import dagster as dg
import pytest


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance that keeps nothing on disk."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral
