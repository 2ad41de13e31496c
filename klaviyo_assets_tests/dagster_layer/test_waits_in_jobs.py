"""In every kind of job, the run's log says what it waits for; and what it finds out about other clients and clocks."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from filelock import FileLock

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets._internal import cancellation
from klaviyo_assets_tests.api.client_helpers import KEY, errors
from klaviyo_assets_tests.api.scripted import Reply, scripted_server
from klaviyo_assets_tests.dagster_layer.test_run_log import another_program_has, home, until, words_of
from klaviyo_assets_tests.dagster_layer.test_waits_for_klaviyo import definitions

pytestmark = pytest.mark.long


def everything(folder: Path) -> dg.Definitions:
    """Definitions with marts and a published copy, without a server: for jobs that send no request before they open the database."""
    klaviyo = KlaviyoResource(api_key=KEY, base_url="http://127.0.0.1:9", max_retries=0)
    return build_klaviyo_definitions(
        klaviyo,
        duckdb=folder / "shop.duckdb",
        resource_types=["lists"],
        marts=True,
        publish=folder / "published.duckdb",
        executor=dg.in_process_executor,
    )


def log_of(defs: dg.Definitions, folder: Path, job: str = "klaviyo_sync") -> list[str]:
    """Run a job that succeeds and return the messages of its run's log."""
    with home(folder / "home") as instance:
        result = defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
        assert result.success
        return words_of(instance, result.run_id)


def test_other_clients_of_the_account(tmp_path: Path) -> None:
    """A 429 that asks for more than a second shows that others have used what this sync has not."""
    throttled = errors(429, "throttled", "Request was throttled.", **{"Retry-After": "2"})
    with scripted_server() as server:
        left = deque([throttled])
        server.responder = lambda path: left.popleft() if left and path.startswith("/api/lists") else Reply()
        words = log_of(definitions(server, tmp_path / "shop.duckdb"), tmp_path)

    (message,) = [one for one in words if "other clients use" in one]
    assert message.startswith("/api/lists: other clients use ")
    assert "What to do: nothing; it uses more as soon as they use less." in message


def test_a_clock_that_is_wrong(tmp_path: Path) -> None:
    behind = format_datetime(datetime.now(UTC) - timedelta(hours=3), usegmt=True)
    with scripted_server() as server:
        server.respond_with(Reply(headers={"Date": behind}))
        words = log_of(definitions(server, tmp_path / "shop.duckdb"), tmp_path)

    (message,) = [one for one in words if "Klaviyo's clock shows" in one]
    assert message.endswith("Klaviyo's is used. Correct this machine's clock.")


@pytest.mark.parametrize(("job", "asset"), [("klaviyo_build_marts", "metric_roles"), ("klaviyo_publish", "published")])
def test_a_file_that_another_program_has_open(job: str, asset: str, tmp_path: Path) -> None:
    """The marts write into it. The copy is made with the file opened for writing too, so that no program changes it meanwhile."""
    with home(tmp_path / "home") as instance, another_program_has(tmp_path / "shop.duckdb") as release, ThreadPoolExecutor(1) as pool:
        run_of = everything(tmp_path).resolve_job_def(job).execute_in_process
        result = pool.submit(run_of, instance=instance, raise_on_error=False, asset_selection=[dg.AssetKey(["klaviyo", asset])])
        until(instance.get_runs)
        (run,) = instance.get_runs()
        until(lambda: any("is open in another program" in one and "What to do: " in one for one in words_of(instance, run.run_id)))
        assert not result.done(), "it waits"
        release()
        assert result.result().success


def test_another_publication(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation.Reminder.__init__, "__defaults__", (0.0,))
    defs = everything(tmp_path)
    duckdb.connect(str(tmp_path / "shop.duckdb")).close()
    with home(tmp_path / "home") as instance, ThreadPoolExecutor(1) as pool:
        with FileLock(str(tmp_path / "published.duckdb.lock")):
            result = pool.submit(defs.resolve_job_def("klaviyo_publish").execute_in_process, instance=instance, raise_on_error=False)
            until(instance.get_runs)
            (run,) = instance.get_runs()
            until(lambda: any("Another process is writing" in one and "What to do: " in one for one in words_of(instance, run.run_id)))
            assert not result.done(), "it waits"
        assert result.result().success
