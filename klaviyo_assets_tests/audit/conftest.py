"""A small account, and runs of its jobs in Dagster."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile

NewAccount = Callable[..., SandboxProcess]
Run = Callable[..., Any]


@pytest.fixture
def sandbox(new_account: NewAccount) -> SandboxProcess:
    """A small account without events that are still to arrive."""
    found = new_account(metrics=4, events=400)
    found.advance(timedelta(days=40))
    return found


@pytest.fixture
def database_file(warehouse: LocalFile) -> None:
    """Create the file: DuckDB rejects a new file with the same name as the schema."""
    with warehouse.connection():
        pass


@pytest.fixture
def run(sandbox: SandboxProcess, tmp_path: Path) -> Iterator[Run]:
    """Runs a job, and returns the result of the check ``complete``, or the message of a failed step."""
    with dg.DagsterInstance.ephemeral() as instance:

        def run(job: str, key: str = ALL_SCOPES_KEY, *, fails: bool = False, **options: Any) -> Any:
            klaviyo = KlaviyoResource(api_key=key, base_url=sandbox.base_url, rate_limit_share=1.0, max_retries=1, **options)
            file, types = str(tmp_path / "klaviyo.duckdb"), ["events", "metrics", "profiles"]
            defs = build_klaviyo_definitions(klaviyo, duckdb=file, resource_types=types, executor=dg.in_process_executor)
            result = defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
            if fails:
                (failed,) = [event.step_failure_data for event in result.all_node_events if event.is_step_failure]
                assert failed.user_failure_data is not None, "a failure with a message, not an exception with a traceback"
                return failed.user_failure_data.description
            assert result.success
            (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "complete"]
            return found

        yield run
