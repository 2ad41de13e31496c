from collections.abc import Iterator

import httpx
import pytest

from klaviyo_assets.sandbox import ALL_SCOPES_KEY, SandboxProcess
from klaviyo_assets_tests.forked_sandbox import ForkedSandbox
from klaviyo_assets_tests.sandbox.helpers import SMALL, headers


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxProcess]:
    """A running read-only sandbox."""
    with ForkedSandbox(SMALL) as process:
        yield process


@pytest.fixture(scope="session")
def http(sandbox: SandboxProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.base_url, headers=headers(ALL_SCOPES_KEY), trust_env=False) as client:
        yield client
