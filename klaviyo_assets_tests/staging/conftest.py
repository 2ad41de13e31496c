"""The folder of a sync's staged files."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "events" / "20260310T120000-s1"
