"""Nothing listens on the network unless a user requests it."""

import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from klaviyo_assets.sandbox.process import SandboxProcess


def first_lines(*arguments: str) -> tuple[str, str]:
    """Start a sandbox by its command, and return its first line and its warnings."""
    command = [sys.executable, "-m", "klaviyo_assets.cli", "sandbox", "--port", "0", "--events", "1", "--profiles", "1", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
        return line, process.communicate()[1]


@pytest.mark.long
def test_the_sandbox_listens_on_loopback() -> None:
    line, warnings = first_lines()

    assert "http://127.0.0.1:" in line
    assert "Warning" not in warnings


@pytest.mark.long
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_sandbox_warns_if_it_listens_on_the_network(host: str) -> None:
    if host == "::" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    _, warnings = first_lines("--host", host)

    assert f"anyone who can reach {host} can read and change this sandbox" in warnings


@pytest.mark.long
def test_a_sync_listens_nowhere(account: SandboxProcess, tmp_path: Path) -> None:
    """Python reports each socket that is bound; a sync binds none, and connects to the configured host only."""
    script = textwrap.dedent("""
        import sys
        seen = []
        sys.addaudithook(lambda event, arguments: seen.append((event, arguments[1])) if event in ("socket.bind", "socket.connect") else None)
        from pathlib import Path
        from klaviyo_assets_tests.accounts import local_file, started_elsewhere, sync

        sync("lists", started_elsewhere(sys.argv[1]), local_file(Path(sys.argv[2])))
        print({event for event, _ in seen}, {address[:1] for _, address in seen})
    """)
    result = subprocess.run([sys.executable, "-c", script, account.base_url, str(tmp_path)], capture_output=True, text=True, check=True)

    assert result.stdout.splitlines()[-1] == "{'socket.connect'} {('127.0.0.1',)}"
