"""What the tests of files share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def for_everybody() -> Iterator[Path]:
    """A folder that every user of the machine can reach; those of pytest are for their owner."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
