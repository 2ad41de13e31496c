"""A run that waits for Klaviyo logs why; a run that would wait for hours fails at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets._internal import cancellation
from klaviyo_assets.api.klaviyo_errors import ConnectionFailed, QuotaUsedUp, RateLimited, ServerFault
from klaviyo_assets.errors import StillLocked
from klaviyo_assets.reporting.failures import failure
from klaviyo_assets_tests.api.client_helpers import HTML, KEY, errors
from klaviyo_assets_tests.api.scripted import Reply, Scripted, scripted_server
from klaviyo_assets_tests.dagster_layer.test_run_log import home, until, words_of

pytestmark = pytest.mark.long

NOTHING = Reply()
THROTTLED = errors(429, "throttled", "Request was throttled.", **{"Retry-After": "1"})
MAINTENANCE = errors(503, "error", "A server error occurred.", **{"Retry-After": "1"})

FAULTS = {
    "5xx": (errors(500, "error", "A server error occurred."), "Klaviyo could not process the request.", "What to do: nothing yet"),
    "503 with a time": (MAINTENANCE, "The server asks to wait 1 second.", "What to do: nothing yet"),
    "429": (THROTTLED, "Klaviyo's rate limit is used up.", "rate_limit_share of resource 'klaviyo'"),
    "a limit of the edge": (Reply(429, b"<title>Error 1015</title>", HTML), "limited in front of Klaviyo's API", "from this address"),
    "dropped": (Reply(drop=True), "No complete response from 127.0.0.1", "https://status.klaviyo.com"),
    "cut": (Reply(cut=True), "No complete response from 127.0.0.1", "https://status.klaviyo.com"),
    "not JSON": (Reply(body=b"<html>", type=HTML), "it is an HTML page", "What to do: nothing yet"),
    "no response": (Reply(after=0.5), "no complete response for", "https://status.klaviyo.com"),
}


def definitions(server: Scripted, database: Path, **options: object) -> dg.Definitions:
    klaviyo = KlaviyoResource(api_key=KEY, base_url=server.base_url, max_retries=20, timeout=30)
    return build_klaviyo_definitions(
        klaviyo,
        duckdb=str(database),
        resource_types=["lists"],
        executor=dg.in_process_executor,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("fault", "reason", "remedy"), FAULTS.values(), ids=FAULTS)
def test_run_logs_why_it_waits_for_klaviyo(fault: Reply, reason: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "SECONDS_BEFORE_FIRST_LOG", 0.0)
    monkeypatch.setattr("klaviyo_assets.api.retries.LONGEST_BACKOFF", 0.2)
    with scripted_server() as server, home(tmp_path / "home") as instance, ThreadPoolExecutor(1) as pool:
        server.respond_with(fault)
        job = definitions(server, tmp_path / "shop.duckdb").resolve_job_def("klaviyo_sync")
        result = pool.submit(job.execute_in_process, instance=instance, raise_on_error=False)
        until(instance.get_runs)
        (run,) = instance.get_runs()

        def logged_messages() -> list[str]:
            return [words for words in words_of(instance, run.run_id) if reason in words]

        until(logged_messages)
        assert remedy in logged_messages()[0]
        assert "GET /api/lists: " in logged_messages()[0]
        server.respond_with(NOTHING)
        assert result.result().success
        assert KEY not in "".join(words_of(instance, run.run_id))


@pytest.mark.parametrize("retry_after", ["7200", "90000"])
@pytest.mark.parametrize("status", [429, 503])
def test_run_that_would_wait_for_hours_fails_at_once(status: int, retry_after: str, tmp_path: Path) -> None:
    with scripted_server() as server:
        server.respond_with(errors(status, "throttled", "Not now.", **{"Retry-After": retry_after}))
        defs = definitions(server, tmp_path / "shop.duckdb", retry_policy=dg.RetryPolicy(max_retries=2))
        result = defs.resolve_job_def("klaviyo_sync").execute_in_process(raise_on_error=False)
        requests = len(server.requests)

    kinds = [event.event_type for event in result.all_node_events]
    assert dg.DagsterEventType.STEP_FAILURE in kinds
    assert dg.DagsterEventType.STEP_UP_FOR_RETRY not in kinds
    assert requests == 1
    (failed,) = [event for event in result.all_node_events if event.is_step_failure]
    description = failed.step_failure_data.user_failure_data.description
    assert "The server asks to wait " in description
    assert ", until 2" in description
    assert "What to do: " in description


@pytest.mark.oldest
@pytest.mark.parametrize(
    ("error", "again"),
    [
        (RateLimited(None), True),
        (RateLimited(600.0), True),
        (RateLimited(3600.0), False),
        (ServerFault("Klaviyo could not process the request."), True),
        (ServerFault("Klaviyo could not process the request.", retry_after=86_400.0), False),
        (ConnectionFailed("No complete response."), True),
        (QuotaUsedUp("A daily limit is used up."), False),
        (StillLocked("identity.lock"), True),
    ],
)
def test_retry_policy_applies_to_temporary_failures(error: Exception, again: bool) -> None:
    assert failure(error, str).allow_retries is again
