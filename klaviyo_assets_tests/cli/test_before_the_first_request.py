"""Errors before the first request: one sentence that names the cause, an exit status, and no traceback."""

import codecs
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from klaviyo_assets.cli import main as cli
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets_tests.api.scripted import Reply, Scripted, scripted_server

KEY_LINE = f"KLAVIYO_API_KEY={ALL_SCOPES_KEY}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A separate working folder; the environment, which the command changes, is restored afterwards."""
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


def sentence(capsys: pytest.CaptureFixture[str], status: int, *arguments: str) -> str:
    """Run the command, check its exit status, and return the only line that it prints."""
    assert cli.main(arguments) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    assert ALL_SCOPES_KEY not in printed.err
    return printed.err


ENV_FILES = {
    "utf-16": (KEY_LINE.encode("utf-16"), "is UTF-16, which Dagster cannot read. Save it as UTF-8"),
    "utf-16 without a byte order mark": (KEY_LINE.encode("utf-16-le"), "has a zero byte in line 1"),
    "utf-16 big-endian": (codecs.BOM_UTF16_BE + KEY_LINE.encode("utf-16-be"), "is UTF-16"),
    "utf-32": (KEY_LINE.encode("utf-32"), "is UTF-32"),
    "bom": (KEY_LINE.encode("utf-8-sig"), "is UTF-8 with a byte order mark (BOM)"),
    "ansi": (f"# für die Händler\n{KEY_LINE}".encode("cp1252"), "is not UTF-8 (line 1)"),
    "ansi on a later line": (f"{KEY_LINE}KLAVIYO_DUCKDB_PATH=Händler.duckdb\n".encode("cp1252"), "is not UTF-8 (line 2)"),
    "nul": (f"{KEY_LINE}KLAVIYO_DUCKDB_PATH=a\0b\n".encode(), "has a zero byte in line 2"),
    "binary": (bytes(range(1, 256)), "is not UTF-8"),
}


@pytest.mark.parametrize("command", [["check"], ["demo"], ["erase", "id1"]], ids=" ".join)
@pytest.mark.parametrize("file", ENV_FILES)
def test_an_env_file_that_is_not_plain_text(file: str, command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, words = ENV_FILES[file]
    (folder / ".env").write_bytes(content)

    printed = sentence(capsys, 2 if command == ["check"] else 1, *command)

    assert printed.startswith(f"The file {folder}/.env ")
    assert words in printed


def test_an_env_file_that_is_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".env").mkdir()

    assert "/.env cannot be read (Is a directory). Make it a file" in sentence(capsys, 2, "check")


def test_an_env_file_that_links_to_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".env").symlink_to(".env")

    assert "/.env cannot be read (Too many levels of symbolic links)" in sentence(capsys, 2, "check")


def test_an_env_file_with_windows_line_ends_and_umlauts_is_read(account: SandboxProcess, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        "# Schlüssel",
        f'KLAVIYO_API_KEY="{ALL_SCOPES_KEY}" # der Händler',
        f"KLAVIYO_BASE_URL={account.base_url}",
        "KLAVIYO_RATE_LIMIT_SHARE=0.5 # half",
    ]
    (folder / ".env").write_bytes("\r\n".join(lines).encode())

    assert cli.main(["check", "--select", "lists"]) == 0
    assert "1 of 1 assets can be read" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("KLAVIYO_RATE_LIMIT_SHARE", "nan", "KLAVIYO_RATE_LIMIT_SHARE must be"),
        ("KLAVIYO_TIMEOUT", "1e400", "KLAVIYO_TIMEOUT must be"),
        ("KLAVIYO_START_DATE", "2099-01-01", "KLAVIYO_START_DATE is in the future"),
        ("KLAVIYO_BASE_URL", "https://a.klaviyo.com:port", "KLAVIYO_BASE_URL is not a URL"),
        ("KLAVIYO_BASE_URL", "https://[::1", "KLAVIYO_BASE_URL is not a URL"),
        ("KLAVIYO_BASE_URL", "http://klaviyo.example", "KLAVIYO_BASE_URL is plain http to another machine"),
        ("HTTPS_PROXY", "http://proxy:99999", "HTTPS_PROXY is not the URL of a proxy"),
        ("all_proxy", "socks5://proxy:1080", "all_proxy names a SOCKS proxy"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE (/nowhere/ca.pem) cannot be used (No such file or directory)"),
        ("SSL_CERT_DIR", "/nowhere", "SSL_CERT_DIR (/nowhere) contains no certificates"),
    ],
)
@pytest.mark.parametrize("command", ["check", "demo"])
def test_a_setting_that_prevents_requests(
    name: str, value: str, words: str, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("KLAVIYO_API_KEY", ALL_SCOPES_KEY)
    monkeypatch.setenv(name, value)

    assert words in sentence(capsys, 2 if command == "check" else 1, command)


def test_the_demo_without_a_key_names_a_wrong_setting_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KLAVIYO_MAX_RETRIES", "many")

    assert "KLAVIYO_MAX_RETRIES must be" in sentence(capsys, 1, "demo")


def test_the_demo_explains_an_unusable_key(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "abc123")

    assert "This is a public API key" in sentence(capsys, 1, "demo")


@pytest.mark.parametrize("place", ["file", "file/below", "loop", "/proc/self/demo", "~no-such-user/demo", "x" * 300])
def test_a_folder_in_which_the_demo_cannot_write(place: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "file").touch()
    (folder / "loop").symlink_to("loop")

    printed = sentence(capsys, 1, "demo", "--folder", place)

    assert printed.startswith(f"The folder {place} cannot be used (")
    assert "What to do: choose another one with --folder." in printed


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"base": null}',
        b'{"base": "yesterday"}',
        b'{"base": "2026-01-01T00:00:00"}',
        b'{"base": "2026-01-01T00:00:00Z", "changes": ["2026-01-02T00:00:00"]}',
        b'{"base": "2026-01-01T00:00:00Z", "changes": 5}',
        f'{{"base": "{(NOW + timedelta(days=9)).isoformat()}"}}'.encode(),
        f'{{"base": "2026-01-01T00:00:00Z", "changes": ["{(NOW + timedelta(days=9)).isoformat()}"]}}'.encode(),
        b'{"base": "2026-01-01T00:00:00Z", "changes": ["2025-01-01T00:00:00Z"]}',
    ],
    ids=range(12),
)
def test_an_invalid_record_of_the_demos_account(record: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "demo_account.json").write_bytes(record)

    printed = sentence(capsys, 1, "demo")

    assert "demo_account.json, cannot be used (" in printed
    assert "delete it and the demo.duckdb next to it" in printed
    assert (folder / "data" / "demo_account.json").read_bytes() == record


ACCOUNTS = [
    b'{"data": [5]}',
    b'{"data": ["x"]}',
    b'{"data": [null]}',
    b'{"data": {"id": "AbC123"}}',
    b'{"data": [{"id": 7}]}',
    b'{"data": [{"id": "AbC123", "attributes": []}]}',
    b'{"data": [{"id": "AbC123", "attributes": {"contact_information": "x"}}]}',
    b'{"data": [{"id": "AbC123", "attributes": {"contact_information": {"organization_name": {"a": 1}}}}]}',
    b'{"data": []}',
]


@pytest.mark.long
@pytest.mark.parametrize("body", ACCOUNTS, ids=range(len(ACCOUNTS)))
def test_an_account_that_does_not_match_klaviyos_schema(body: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted_server() as server:
        server.respond_with(Reply(body=body))
        (folder / ".env").write_text(f"{KEY_LINE}KLAVIYO_BASE_URL={server.base_url}\n")

        assert cli.main(["check", "--select", "accounts"]) in (0, 2)

    printed = capsys.readouterr().out
    assert re.search(r"^klaviyo/accounts +core +accounts:read +(granted|unusable response)", printed, re.MULTILINE)
    assert "None" not in printed


def run(folder: Path, *arguments: str, output: int = subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "klaviyo_assets.cli", *arguments]
    return subprocess.run(command, cwd=folder, env={**os.environ, **environment}, stdout=output, stderr=subprocess.PIPE, check=False)


@pytest.fixture
def non_ascii_name() -> Iterator[Scripted]:
    with scripted_server() as server:
        name = "Größe & Söhne 漢字 🦊 \u2028"
        body = f'{{"data": [{{"id": "AbC123", "attributes": {{"contact_information": {{"organization_name": "{name}"}}}}}}]}}'
        server.respond_with(Reply(body=body.encode()))
        yield server


@pytest.mark.long
@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C"},
    ],
    ids=str,
)
def test_characters_that_the_terminal_does_not_have_are_escaped(environment: dict[str, str], non_ascii_name: Scripted, folder: Path) -> None:
    (folder / ".env").write_text(f"{KEY_LINE}KLAVIYO_BASE_URL={non_ascii_name.base_url}\n")

    result = run(folder, "check", "--select", "accounts", **environment)

    assert (result.returncode, result.stderr) == (0, b"")
    assert b"belongs to the account Gr" in result.stdout


@pytest.mark.long
@pytest.mark.parametrize("known", [True, False])
def test_a_closed_pipe_does_not_change_the_status(known: bool, account: SandboxProcess, folder: Path) -> None:
    key = ALL_SCOPES_KEY if known else "pk_" + "1" * 34
    (folder / ".env").write_text(f"KLAVIYO_API_KEY={key}\nKLAVIYO_BASE_URL={account.base_url}\n")
    reader, writer = os.pipe()
    os.close(reader)

    result = run(folder, "check", "--select", "lists", output=writer)

    os.close(writer)
    assert (result.returncode, result.stderr) == (0 if known else 1, b"")


@pytest.mark.long
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_cannot_be_written_is_one_sentence(account: SandboxProcess, folder: Path) -> None:
    (folder / ".env").write_text(f"{KEY_LINE}KLAVIYO_BASE_URL={account.base_url}\n")
    with Path("/dev/full").open("wb") as full:
        result = run(folder, "check", "--select", "lists", output=full.fileno())

    assert (result.returncode, result.stderr) == (2, b"The output could not be written (No space left on device).\n")


@pytest.mark.long
def test_a_deleted_working_folder_is_one_sentence(folder: Path) -> None:
    (folder / "gone").mkdir()
    code = "import os, sys; os.chdir('gone'); os.rmdir('../gone'); from klaviyo_assets.cli.main import main; sys.exit(main(['check']))"

    result = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)

    assert (result.returncode, "Traceback" in result.stderr) == (1, False), result.stderr
    assert "KLAVIYO_API_KEY is not set" in result.stderr
