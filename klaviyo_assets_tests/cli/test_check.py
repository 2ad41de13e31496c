"""``klaviyo-assets check`` as a user runs it: in a process, with a .env file, and with its exit status."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.api.error_body import read_error
from klaviyo_assets.api.scope_check import Access, assess_all
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.scopes import REQUIRED_SCOPES
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, PLAN_GATED_KEY, key_lacking
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests import outside_types
from klaviyo_assets_tests.api.client_helpers import errors
from klaviyo_assets_tests.api.scripted import Reply, scripted_server

NewAccount = Callable[..., SandboxProcess]


_ROOT = Path(__file__).parents[2]


def check(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder with these settings in its .env file."""
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KLAVIYO_")}
    # In the folder, a catalog of a test can import the tests' own types.
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), environment.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-m", "klaviyo_assets.cli", "check", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def lines(result: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {line.split()[0]: line for line in result.stdout.splitlines() if line.startswith("klaviyo/")}


def assessed(key: str, base_url: str) -> list[Access]:
    """Return the verdicts about all types."""

    async def run() -> list[Access]:
        async with KlaviyoClient(ApiKey(key), ClientSettings(base_url=base_url, rate_limit_share=1.0)) as client:
            return await assess_all(client, CATALOG.values())

    return asyncio.run(run())


@pytest.mark.long
def test_a_key_with_every_scope(account: SandboxProcess, tmp_path: Path) -> None:
    result = check(tmp_path, KLAVIYO_API_KEY=ALL_SCOPES_KEY, KLAVIYO_BASE_URL=account.base_url)

    assert result.returncode == 0, result.stderr
    assert set(lines(result)) == {f"klaviyo/{name}" for name in CATALOG}
    assert all(" granted" in line for line in lines(result).values())
    assert f"{len(CATALOG)} of {len(CATALOG)} assets can be read" in result.stdout
    assert ALL_SCOPES_KEY not in result.stdout + result.stderr
    assert not list(tmp_path.glob("data*")), "a check writes no files"


@pytest.mark.long
def test_a_missing_scope_is_named_and_makes_the_status_1(account: SandboxProcess, tmp_path: Path) -> None:
    result = check(tmp_path, KLAVIYO_API_KEY=key_lacking("reviews:read"), KLAVIYO_BASE_URL=account.base_url)

    assert result.returncode == 1
    assert "reviews:read" in lines(result)["klaviyo/reviews"]
    assert "scope missing" in lines(result)["klaviyo/reviews"]
    assert "Create a new private API key that has reviews:read" in lines(result)["klaviyo/reviews"]
    assert sum(" granted" in line for line in lines(result).values()) == len(CATALOG) - 1


@pytest.mark.long
@pytest.mark.parametrize("scope", sorted({scope for entry in CATALOG.values() for scope in entry.scopes}))
def test_the_advice_names_the_scope_that_is_missing_and_no_other(scope: str, account: SandboxProcess) -> None:
    """Also where an asset needs several scopes: a new key with another one would be refused again."""
    found = assessed(account.keys.lacking(scope), account.base_url)

    refused = [access for access in found if not access.granted]
    assert {access.entry.name for access in refused} == {entry.name for entry in CATALOG.values() if scope in entry.scopes}
    for access in refused:
        assert access.missing_scopes == (scope,)
        assert f" has {scope}" in access.advice
        assert {*re.findall(r"[a-z-]+:read", access.advice)} == {scope}


@pytest.mark.long
def test_the_summary_names_a_required_scope_for_an_optional_asset(account: SandboxProcess, tmp_path: Path) -> None:
    result = check(tmp_path, KLAVIYO_API_KEY=key_lacking("metrics:read"), KLAVIYO_BASE_URL=account.base_url)

    skipped = re.search(r"Skipped, with a warning, until a new key also has (.+?): (.+)\.", result.stdout)
    assert skipped is not None
    assert skipped[1] == "metrics:read"
    assert {*skipped[2].split(", ")} == {name for name, entry in CATALOG.items() if "metrics:read" in entry.scopes and entry.has_optional_scope}


@pytest.mark.long
def test_with_the_first_eight_scopes_everything_else_is_optional(account: SandboxProcess, tmp_path: Path) -> None:
    result = check(tmp_path, KLAVIYO_API_KEY=account.keys.required_scopes, KLAVIYO_BASE_URL=account.base_url)

    assert result.returncode == 0
    for name, entry in CATALOG.items():
        verdict = "granted" if {*entry.scopes} <= REQUIRED_SCOPES else "scope missing (optional)"
        assert f"{entry.group} " in lines(result)[f"klaviyo/{name}"]
        assert f" {verdict} " in lines(result)[f"klaviyo/{name}"] + " "
    groups = [line.split()[1] for line in lines(result).values()]
    assert groups == sorted(groups, key=[*CATALOG.groups].index)
    assert re.search(r"Skipped, with a warning, until a new key also has accounts:read, .*: accounts, ", result.stdout)


@pytest.mark.long
def test_scopes_of_single_columns_are_named_and_missing_ones_leave_the_asset_usable(account: SandboxProcess, tmp_path: Path) -> None:
    result = check(tmp_path, "--select", "campaigns", "metrics", KLAVIYO_API_KEY=key_lacking("tags:read"), KLAVIYO_BASE_URL=account.base_url)

    assert result.returncode == 0
    found = lines(result)
    assert "campaigns:read (optional: tags:read)" in found["klaviyo/campaigns"]
    assert "tag_ids is null until a new key also has tags:read." in found["klaviyo/campaigns"]
    assert "metrics:read (optional: flows:read)" in found["klaviyo/metrics"]
    assert "is null" not in found["klaviyo/metrics"]


@pytest.mark.long
def test_a_missing_plan_feature_is_not_a_missing_scope(account: SandboxProcess, tmp_path: Path) -> None:
    settings = {"KLAVIYO_API_KEY": PLAN_GATED_KEY, "KLAVIYO_BASE_URL": account.base_url}
    assert "not in the plan" in lines(result := check(tmp_path, **settings))["klaviyo/reviews"]
    assert result.returncode == 1
    assert check(tmp_path, "--select", "lists", "events", **settings).returncode == 0


@pytest.mark.long
@pytest.mark.parametrize("status", [401, 400])
def test_a_key_that_klaviyo_does_not_know(status: int, new_account: NewAccount, tmp_path: Path) -> None:
    sandbox = new_account(invalid_key_status=status, events=10, profiles=5)
    unknown = "pk_" + "1" * 34
    result = check(tmp_path, KLAVIYO_API_KEY=unknown, KLAVIYO_BASE_URL=sandbox.base_url)

    assert result.returncode == 1
    assert "The API key was refused" in result.stdout
    assert "still active and of the right account" in result.stdout
    assert unknown not in result.stdout + result.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, "KLAVIYO_API_KEY is not set"),
        ("''", "empty"),
        ("abc123", "public API key"),
        ("Bearer pk_0123456789abcdef0123456789abcdef01", "part of the HTTP header"),
    ],
    ids=["unset", "empty", "public", "pasted header"],
)
def test_a_malformed_key_is_refused_before_any_request(key: str | None, words: str, account: SandboxProcess, tmp_path: Path) -> None:
    result = check(tmp_path, KLAVIYO_BASE_URL=account.base_url, **({"KLAVIYO_API_KEY": key} if key is not None else {}))

    assert result.returncode == 1
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.long
def test_a_refused_connection_is_unclear(tmp_path: Path) -> None:
    result = check(tmp_path, "--select", "lists", KLAVIYO_API_KEY=ALL_SCOPES_KEY, KLAVIYO_BASE_URL="http://127.0.0.1:9")

    assert result.returncode == 2
    assert "unreachable" in lines(result)["klaviyo/lists"]
    assert "Traceback" not in result.stderr


@pytest.mark.long
def test_a_block_at_the_network_edge_is_unclear(new_account: NewAccount, tmp_path: Path) -> None:
    sandbox = new_account(events=10, profiles=5)
    sandbox.faults({"path": "/api/lists", "kind": "html403", "times": None})
    result = check(tmp_path, KLAVIYO_API_KEY=ALL_SCOPES_KEY, KLAVIYO_BASE_URL=sandbox.base_url)

    assert result.returncode == 2
    assert "blocked" in lines(result)["klaviyo/lists"]


@pytest.mark.long
def test_the_env_file_wins_as_it_does_in_dagster(account: SandboxProcess, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"KLAVIYO_API_KEY={ALL_SCOPES_KEY}\nKLAVIYO_BASE_URL={account.base_url}\n")
    command = [sys.executable, "-m", "klaviyo_assets.cli", "check", "--select", "lists"]
    environment = {**os.environ, "KLAVIYO_API_KEY": "abc123"}

    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode == 0


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--select", "nonsense"], "invalid choice: 'nonsense' (choose from accounts, "),
        (["--select", "vouchers"], "invalid choice: 'vouchers'"),
        (["--catalog", "no_such_module:CATALOG"], "argument --catalog: "),
    ],
)
def test_an_invalid_argument_exits_with_1(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = check(tmp_path, *arguments)

    assert result.returncode == 1, "2 would mean that the result is unclear"
    assert words in result.stderr


@pytest.mark.long
def test_scopes_of_own_types_are_checked_with_their_catalog(new_account: NewAccount, tmp_path: Path) -> None:
    account = new_account(profiles=5, events=0, catalog=outside_types.NAME)
    (tmp_path / "my_shop_types.py").write_text("from klaviyo_assets_tests.outside_types import CATALOG as MINE\n")
    mine = ("--catalog", "my_shop_types:MINE", "--select", "vouchers", "lists")

    granted = check(tmp_path, *mine, KLAVIYO_API_KEY=ALL_SCOPES_KEY, KLAVIYO_BASE_URL=account.base_url)
    lacking = check(tmp_path, *mine, KLAVIYO_API_KEY=account.keys.lacking("vouchers:read"), KLAVIYO_BASE_URL=account.base_url)

    assert granted.returncode == 0, granted.stderr
    assert set(lines(granted)) == {"klaviyo/vouchers", "klaviyo/lists"}
    assert all(" granted" in line for line in lines(granted).values())
    assert "vouchers:read" in lines(lacking)["klaviyo/vouchers"]
    assert "scope missing" in lines(lacking)["klaviyo/vouchers"]


@pytest.mark.long
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    result = check(tmp_path, KLAVIYO_API_KEY=ALL_SCOPES_KEY, KLAVIYO_RATE_LIMIT_SHARE="ninety")

    assert result.returncode == 2, "1 would mean that something is wrong with the key"
    assert "KLAVIYO_RATE_LIMIT_SHARE must be a number above 0 up to 1" in result.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("reply", "status", "verdict"),
    [
        (errors(429, "throttled", "Request was throttled. Expected available in 30000 seconds.", **{"Retry-After": "30000"}), 2, "rate limited"),
        (errors(403, "permission_denied", "You have reached your daily limit."), 2, "limit used up"),
        (errors(403, "forbidden", "Your account is suspended."), 1, "account disabled"),
        (errors(404, "not_found", "Not found."), 1, "not found"),
        (Reply(body=b'{"data": [], "errors": [{"detail": "Partial."}]}'), 2, "unusable response"),
    ],
    ids=["429 for hours", "daily limit", "suspended", "404", "errors with 200"],
)
def test_each_response_has_its_verdict_status_and_message(reply: Reply, status: int, verdict: str, tmp_path: Path) -> None:
    with scripted_server() as server:
        server.respond_with(reply)
        result = check(tmp_path, "--select", "reviews", KLAVIYO_API_KEY=ALL_SCOPES_KEY, KLAVIYO_BASE_URL=server.base_url)

    assert result.returncode == status
    assert verdict in (line := lines(result)["klaviyo/reviews"])
    assert (read_error(httpx.Response(reply.status, content=reply.body)).detail or "") in line
    assert "Traceback" not in result.stderr
