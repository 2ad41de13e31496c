"""The key is sent to Klaviyo in one header and stored nowhere: every place that could contain it is searched."""

import asyncio
import copy
import logging
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets._internal.redaction import without_key
from klaviyo_assets.api.auth import ApiKey, KlaviyoAuth, parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.klaviyo_errors import ApiKeyMalformed, KlaviyoError, RequestFailed
from klaviyo_assets.api.transport import HttpTransport
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.errors import SyncError
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.settings.options import InvalidSetting, from_environment
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import sync

NewAccount = Callable[..., SandboxProcess]

KEY = "pk_0123456789abcdef0123456789abcdef01"
SECRET = KEY.removeprefix("pk_")
SANDBOX_SECRET = ALL_SCOPES_KEY.removeprefix("pk_")

DAGSTER_YAML = """
telemetry:
  enabled: false
python_logs:
  python_log_level: DEBUG
  managed_python_loggers: [root, klaviyo_assets, httpx, httpcore, httpcore.http11, httpcore.connection, asyncio, filelock, pyrate_limiter]
"""


def contains(path: Path, text: str) -> bool:
    return path.is_file() and text.encode() in path.read_bytes()


@pytest.mark.slow
def test_a_run_that_logs_everything_and_fails_leaves_no_key(new_account: NewAccount, tmp_path: Path) -> None:
    sandbox, key = new_account(), key_lacking("reviews:read")
    sandbox.faults(
        {"path": "/api/events", "kind": "drop", "times": None, "after": 4},
        {"path": "/api/lists", "kind": "cut", "times": None},
        {"path": "/api/flows", "kind": "badjson", "times": None},
        {"path": "/api/segments", "kind": "foreign_next", "times": None},
    )
    types = ["accounts", "events", "flows", "lists", "reviews", "segments"]  # one that succeeds, and one for each kind of failure
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(DAGSTER_YAML)
    (tmp_path / "location.py").write_text(
        "import logging, dagster as dg\n"
        "from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions\n"
        "logging.basicConfig(level=logging.DEBUG, filename='debug.log')\n"
        f"klaviyo = KlaviyoResource(api_key=dg.EnvVar('KLAVIYO_API_KEY'), base_url={sandbox.base_url!r}, max_retries=1, rate_limit_share=1.0)\n"
        "own = dict(executor=dg.in_process_executor)\n"
        f"defs = dg.Definitions.merge(dg.Definitions(**own), build_klaviyo_definitions(klaviyo, duckdb='warehouse.duckdb', resource_types={types}))\n"
    )
    environment = {**os.environ, "DAGSTER_HOME": str(home), "KLAVIYO_API_KEY": key, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-f", "location.py", "--select", "*"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    (tmp_path / "output.txt").write_text(result.stdout + result.stderr)

    assert result.returncode != 0
    log = (tmp_path / "debug.log").read_text()
    assert "send_request_headers.started" in log, "httpcore did not log at DEBUG"
    assert "RequestFailed" in result.stderr or "No complete response" in result.stderr
    assert list((tmp_path / "warehouse.duckdb.sync" / "klaviyo" / "staging" / "events").rglob("*.parquet")), "the failed sync left no staged files"
    assert [path for path in tmp_path.rglob("*") if contains(path, key) or contains(path, key.removeprefix("pk_"))] == []


def dump(error: BaseException) -> str:
    """Return everything that a crash reporter may show: each error of the chain with its frames' variables, its attributes, and Dagster's form."""
    shown, seen, todo = [], set(), [error]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        shown += traceback.TracebackException.from_exception(one, capture_locals=True).format()
        shown += [repr(one), str(one), repr(one.args), repr(vars(one))]
        request = getattr(one, "_request", None)
        shown += [repr(request.headers.raw)] if request is not None else []
        todo += [linked for linked in (one.__cause__, one.__context__) if linked is not None]
    shown.append(repr(serializable_error_info_from_exc_info((type(error), error, error.__traceback__))))
    return "\n".join(shown)


@pytest.fixture
def faulty(new_account: NewAccount) -> SandboxProcess:
    return new_account(events=10, profiles=5)


@pytest.mark.parametrize("kind", ["drop", "cut", "503", "429", "html403", "badjson", "foreign_next", "retired"])
def test_an_error_shows_no_key_even_with_the_variables_of_its_frames(kind: str, faulty: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    faulty.faults({"path": "/api/lists", "kind": kind, "times": None, "seconds": 400})
    entry = CATALOG["lists"]

    async def walk() -> None:
        settings = ClientSettings(base_url=faulty.base_url, max_retries=1)
        async with KlaviyoClient(ApiKey(ALL_SCOPES_KEY), settings) as client:
            async for _ in client.pages(entry, {}, decode_loosely):
                pass

    with pytest.raises(KlaviyoError) as caught:
        asyncio.run(walk())

    assert SANDBOX_SECRET not in dump(caught.value)


def decode_loosely(data: bytes) -> Any:
    from klaviyo_assets.decode import PageDecoder

    return PageDecoder(CATALOG["lists"]).page(data)


def test_an_error_while_the_head_is_sent_shows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame of h11 has the head of the request as a variable, and the errors of httpx have the request as an attribute."""

    async def fail(self: httpx.AsyncClient, request: httpx.Request, **_: Any) -> httpx.Response:
        flow = KlaviyoAuth(ApiKey(KEY), httpx.URL("https://a.klaviyo.com")).auth_flow(request)
        head = next(flow).headers.raw
        try:
            raise BrokenPipeError(f"{len(head)} headers")
        except OSError as error:
            raise httpx.WriteError("broken", request=request) from error

    monkeypatch.setattr(httpx.AsyncClient, "send", fail)

    async def request() -> None:
        async with KlaviyoClient(ApiKey(KEY), ClientSettings(max_retries=0)) as client:
            await client.get(CATALOG["lists"], "/api/lists", {}, decode_loosely)

    with pytest.raises(RequestFailed) as caught:
        asyncio.run(request())

    assert isinstance(caught.value.__cause__, httpx.WriteError)
    assert SECRET not in dump(caught.value)


@pytest.mark.parametrize("text", [f"'{KEY}'", f"Bearer {KEY}", f"{KEY} {KEY}", f"{KEY}%", KEY[3:]])
def test_a_refused_key_is_in_no_variable_of_the_traceback(text: str) -> None:
    resource = KlaviyoResource(api_key=text)

    with pytest.raises(ApiKeyMalformed) as caught:
        resource.parsed_key()

    below = caught.value.__traceback__
    assert below is not None
    assert SECRET not in dump(caught.value.with_traceback(below.tb_next))  # the frame of this test contains it


def objects_with_a_key() -> dict[str, Any]:
    key = parse_api_key(KEY)
    return {
        "key": key,
        "auth": KlaviyoAuth(key, httpx.URL("https://a.klaviyo.com")),
        "client": KlaviyoClient(key, ClientSettings()),
        "transport": HttpTransport(key, ClientSettings()),
        "connection": HttpTransport(key, ClientSettings()).connect(),
        "resource": KlaviyoResource(api_key=KEY),
    }


@pytest.mark.parametrize("name", objects_with_a_key())
def test_no_object_shows_its_key(name: str) -> None:
    one = objects_with_a_key()[name]

    shown = [repr(one), str(one), f"{one}", repr([one]), repr({"it": one})]
    if isinstance(one, KlaviyoResource):
        shown += [repr(one.model_dump()), one.model_dump_json(), repr(one.settings()), repr(one.parsed_key())]
    else:
        shown.append(repr(getattr(one, "__dict__", "")))
    assert SECRET not in "\n".join(shown)
    with pytest.raises(TypeError):
        pickle.dumps(one)


def test_a_resource_is_still_copied_with_its_key() -> None:
    resource = KlaviyoResource(api_key=KEY)

    assert copy.copy(resource).parsed_key().reveal() == KEY
    assert resource.model_copy(update={"timeout": 1.0}).parsed_key().reveal() == KEY


def test_the_ui_sees_the_name_of_the_variable_only(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    resource = KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_API_KEY"))
    seen: list[str] = []

    @dg.asset
    def uses(klaviyo: KlaviyoResource) -> None:
        seen.append(klaviyo.parsed_key().reveal())
        raise ValueError(f"it broke with {klaviyo!r}")

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([uses], resources={"klaviyo": resource}, instance=instance, raise_on_error=False)
        stored = "\n".join(repr(record.event_log_entry) for record in instance.get_records_for_run(result.run_id).records)
        stored += repr(instance.get_run_by_id(result.run_id))

    assert seen == [KEY]
    assert "it broke with" in stored
    assert SECRET not in stored
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        "KLAVIYO_BASE_URL",
        "KLAVIYO_START_DATE",
        "KLAVIYO_RATE_LIMIT_SHARE",
        "KLAVIYO_DUCKDB_PATIENCE",
        "KLAVIYO_ACCEPT_OTHER_ACCOUNT",
        "KLAVIYO_FIELD_RULES",
    ],
)
def test_a_key_in_the_wrong_variable_is_not_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, KEY)

    with pytest.raises(InvalidSetting, match=name) as caught:
        from_environment()

    assert SECRET not in str(caught.value)


def test_a_key_in_the_base_url_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_BASE_URL", f"https://{KEY}@a.klaviyo.com")

    with pytest.raises(InvalidSetting, match="KLAVIYO_API_KEY") as caught:
        from_environment()

    assert SECRET not in str(caught.value)


def test_a_key_in_place_of_the_account_is_refused_before_anything_is_stored(account: SandboxProcess, warehouse: LocalFile) -> None:
    with pytest.raises(SyncError, match="KLAVIYO_API_KEY") as caught:
        sync("lists", account, warehouse, account_id=KEY)

    assert SECRET not in str(caught.value)
    assert not [path for path in warehouse.path.parent.rglob("*") if contains(path, SECRET)]


@pytest.mark.parametrize(
    ("base_url", "warned"),
    [("http://klaviyo.example", True), ("https://klaviyo.example", False), ("http://127.0.0.1:1", False), ("http://localhost:1", False)],
)
def test_an_origin_that_gets_the_key_unencrypted_causes_a_warning(base_url: str, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    KlaviyoResource(api_key=KEY, base_url=base_url, allow_http=True).client()

    assert ("unencrypted" in caplog.text) == warned
    assert SECRET not in caplog.text


class Talkative(httpx.AsyncBaseTransport):
    """A user's transport whose errors quote the request."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            raise KeyError(request.headers["Authorization"])
        except KeyError as error:
            raise RuntimeError(f"the gateway refused {request.headers['Authorization']}") from error


class ThroughAGateway(KlaviyoResource):
    def transport(self) -> httpx.AsyncBaseTransport:
        return Talkative()


@pytest.mark.parametrize("types", [["lists"], ["lists", "flows"]], ids=["one type", "two types"])
@pytest.mark.parametrize("job", ["klaviyo_sync", "klaviyo_checks"])
def test_an_error_of_a_users_transport_does_not_show_the_key(
    job: str, types: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KLAVIYO_EU", KEY)
    klaviyo = ThroughAGateway(api_key=dg.EnvVar("KLAVIYO_EU"), max_retries=0)
    defs = build_klaviyo_definitions(klaviyo, duckdb=tmp_path / "shop.duckdb", resource_types=types)

    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
        stored = "\n".join(repr(record.event_log_entry) for record in instance.get_records_for_run(result.run_id).records)

    assert not result.success
    assert "the gateway refused Klaviyo-API-Key pk_***" in stored
    assert "handle_async_request" in stored, "the traceback leads to the user's code"
    printed = capfd.readouterr()
    assert [text for text in (stored, caplog.text, printed.out, printed.err) if SECRET in text] == []
    assert [path for path in tmp_path.rglob("*") if contains(path, SECRET)] == []


def test_errors_without_a_key_are_left_alone() -> None:
    cause, context = KeyError("a"), ValueError("b")
    error = RuntimeError("c")
    error.__cause__, error.__context__ = cause, context

    assert without_key(error) is error
    assert (error.__cause__, error.__context__) == (cause, context)


def test_a_key_in_a_group_a_note_or_a_loop_of_errors_is_masked() -> None:
    noted = ValueError("a")
    noted.add_note(f"sent {KEY}")
    group = ExceptionGroup("several", [ValueError(KEY)])
    noted.__context__, group.__context__ = group, noted

    shown = "".join(traceback.format_exception(without_key(noted)))

    assert "ValueError: a" in shown
    assert "ExceptionGroup: several" in shown
    assert SECRET not in shown
