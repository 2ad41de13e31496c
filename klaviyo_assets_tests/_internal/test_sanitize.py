"""Untrusted text is stored unchanged and has no effect in SQL, the UI's Markdown, a terminal or a log."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets._internal.sanitize import MAX_LENGTH, markdown, one_line
from klaviyo_assets.api.klaviyo_errors import KlaviyoError, RequestFailed
from klaviyo_assets.checks.asset_checks import unknown_attributes
from klaviyo_assets.errors import SyncError
from klaviyo_assets.quality.drift import Drift, DriftKind
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth

pytestmark = pytest.mark.long

NewAccount = Callable[..., SandboxProcess]

NASTY = {
    "sql": "'; DROP TABLE klaviyo.klaviyo.lists; --",
    "quotes": "\"''\"\\'$$ $1 ? :name {{ env.X }} %s {0}",
    "html": "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "markdown": "[click](javascript:alert(1)) ![x](http://evil.example/x.png) **b** `c` | d |",
    "link": "see https://evil.example and www.evil.example",
    "terminal": "\x1b[2J\x1b]0;title\x07\x9b31m",
    "lines": "a\nERROR klaviyo_assets: forged\r\nb\u2028c",
    "direction": "\u202egnp.exe\u2066\u200f",
    "nothing": "\u0000\u0001",
    "long": "x" * 20_000,
}


def in_a_run(defs: dg.Definitions, name: str) -> tuple[dg.ExecuteInProcessResult, str]:
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_job_def("klaviyo_sync")
        result = job.execute_in_process(instance=instance, raise_on_error=False, asset_selection=[dg.AssetKey(["klaviyo", name])])
        (materialization,) = result.asset_materializations_for_node("klaviyo_small_types")
        return result, str(materialization.metadata["preview"].value)


@pytest.mark.parametrize("kind", [kind for kind in NASTY if kind != "nothing"])
def test_name_is_stored_unchanged_and_shown_sanitized(kind: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox, text = new_account(lists=2, events=0, profiles=1, segments=0, campaigns=0, flows=0, reviews=0), NASTY[kind]
    (id_,) = sandbox.change("add", type="lists", attributes={"name": text})
    klaviyo = KlaviyoResource(api_key=ALL_SCOPES_KEY, base_url=sandbox.base_url, rate_limit_share=1.0)
    with warehouse.connection():
        pass  # the earlier default name is allowed for existing files only
    defs = build_klaviyo_definitions(klaviyo, duckdb=str(warehouse.path), executor=dg.in_process_executor)

    result, preview = in_a_run(defs, "lists")

    assert result.success
    assert query(warehouse, f"SELECT name FROM lists WHERE id = '{id_}'") == [(text,)]
    assert table(warehouse, "lists").equals(truth(sandbox, "lists"))
    assert "<" not in preview.replace("<br>", "")
    assert "](" not in preview.replace("\\]\\(", "")
    assert "://" not in preview
    assert not set(preview) & set("\x1b\x07\x9b\r\u2028\u202e\u2066\u200f")
    assert len(preview) < 5_000


def test_property_names_are_stored_unchanged(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(profiles=3, events=5)
    properties: dict[str, Any] = {text: {text: [text]} for text in NASTY.values()}
    (id_,) = sandbox.change("add", type="profiles", attributes={"properties": properties})
    sandbox.change("event", attributes={"event_properties": properties})

    sync("profiles", sandbox, warehouse)
    sync("events", sandbox, warehouse)

    assert table(warehouse, "profiles").equals(truth(sandbox, "profiles"))
    assert query(warehouse, f"SELECT len(json_keys(properties)) FROM profiles WHERE id = '{id_}'") == [(len(NASTY),)]
    assert table(warehouse, "events").height == len(truth(sandbox, "events"))


@pytest.mark.parametrize("kind", NASTY)
def test_errors_and_checks_show_it_on_one_line(kind: str) -> None:
    text = NASTY[kind]
    shown = [
        str(RequestFailed("It failed.", detail=text, code=text)),
        str(RequestFailed(f"About {text}", endpoint=f"GET /api/{text}")),
        str(SyncError(f"About {text}", text)),
        unknown_attributes([Drift(DriftKind.NEW, text, "no such attribute", 3, text, text)], dg.AssetKey("lists")).description or "",
    ]

    for words in shown:
        assert words.isprintable(), words
        assert len(words) < 4 * MAX_LENGTH


@pytest.mark.parametrize("kind", NASTY)
def test_markdown_is_escaped(kind: str) -> None:
    shown = markdown(NASTY[kind])

    assert shown.isprintable()
    assert "<" not in shown
    assert "://" not in shown


def test_server_text_cannot_forge_a_log_line() -> None:
    error = KlaviyoError("It failed.", detail="a\nERROR: all is lost \x1b[31m")

    assert str(error).count("\n") == 0
    assert "\x1b" not in str(error)
    assert one_line("a\tb") == "a\\tb"
