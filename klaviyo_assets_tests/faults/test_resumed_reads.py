"""First reads of large child types that are killed: the next sync reads little again. ``make kills`` kills each at ten places."""

from collections.abc import Iterator

import pytest

from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.faults.resumed_reads import MOST_READ_AGAIN, NAMES, killed_and_resumed, large_children

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def large() -> Iterator[SandboxProcess]:
    with large_children() as sandbox:
        yield sandbox


@pytest.mark.parametrize("name", NAMES)
def test_the_sync_after_a_kill_reads_little_again(name: str, large: SandboxProcess, warehouse: LocalFile) -> None:
    killed = killed_and_resumed(large, warehouse, name, 0.6)

    assert killed.died
    assert not killed.after.faults, killed.after
    assert killed.later.is_equal, killed.later
    assert killed.read_again <= MOST_READ_AGAIN
