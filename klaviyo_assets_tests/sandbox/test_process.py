"""The sandbox as a process: control, faults and exit."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from klaviyo_assets.sandbox import ALL_SCOPES_KEY, SandboxProcess
from klaviyo_assets_tests.sandbox.helpers import BASE, SMALL, headers

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def own() -> Iterator[SandboxProcess]:
    """A sandbox that these tests change."""
    with SandboxProcess(SMALL) as process:
        yield process


@pytest.fixture
def client(own: SandboxProcess) -> Iterator[httpx.Client]:
    own.clear_faults()
    own.reset_stats()
    with httpx.Client(base_url=own.base_url, headers=headers(ALL_SCOPES_KEY), trust_env=False, timeout=10) as found:
        yield found


def test_the_clock_only_moves_forward(own):
    assert own.now() >= BASE
    later = own.advance(timedelta(hours=2))
    assert later >= BASE + timedelta(hours=2)
    assert own.set_clock(later + timedelta(hours=1)) >= later + timedelta(hours=1)
    with pytest.raises(ValueError, match="cannot go back"):
        own.set_clock(BASE)


def test_truth_counts_and_changes(own):
    counts = own.counts()
    assert {name: len(own.truth(name)) for name in counts if name != "coming"} == {name: count for name, count in counts.items() if name != "coming"}
    (id,) = own.change("event", datetime=BASE - timedelta(days=1))
    assert id in {event["id"] for event in own.truth("events")}
    assert own.counts()["events"] == counts["events"] + 1
    assert {campaign["meta"]["channel"] for campaign in own.truth("campaigns")} == {"email", "sms", "mobile_push"}
    assert "predictive_analytics" not in json.loads(own.truth_lines("profiles", ("subscriptions",))[0])["attributes"]
    with pytest.raises(ValueError, match="no list has the id unknown"):
        own.change("delete", type="lists", id="unknown")
    with pytest.raises(ValueError, match="no such type"):
        own.truth("vouchers")


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("500", 500, "application/vnd.api+json"),
        ("503", 503, "application/vnd.api+json"),
        ("429", 429, ""),
        ("retired", 410, "application/vnd.api+json"),
        ("html403", 403, "text/html"),
        ("html404", 404, "text/html"),
        ("html502", 502, "text/html"),
        ("notjson", 200, "text/html"),
        ("slow", 200, "application/vnd.api+json"),
    ],
)
def test_faults_that_send_a_response(own, client, kind, status, content_type):
    own.faults({"path": "/api/events", "kind": kind, "times": 2, "after": 1, "seconds": 0.01})
    responses = [client.get("/api/events") for _ in range(4)]
    assert [response.status_code for response in responses] == [200, status, status, 200]
    assert responses[1].headers.get("content-type", "").split(";")[0] == content_type
    assert own.faults() == []


@pytest.mark.parametrize(("kind", "error"), [("drop", httpx.RemoteProtocolError), ("cut", httpx.RemoteProtocolError)])
def test_faults_that_break_the_connection(own, client, kind, error):
    own.faults({"path": "/api/events", "kind": kind})
    with pytest.raises((error, httpx.ReadError)):
        client.get("/api/events")
    assert client.get("/api/events").status_code == 200
    stats = own.stats()["endpoints"]["/api/events"]
    assert (stats["requests"], stats["dropped"]) == (2, 1 if kind == "drop" else 0)


def test_faults_in_the_body(own, client):
    own.faults({"path": "/api/lists", "kind": "badjson"}, {"path": "/api/lists", "kind": "foreign_next", "times": 2})
    with pytest.raises(json.JSONDecodeError):
        client.get("/api/lists").json()
    first = client.get("/api/lists").json()
    assert first["links"]["next"].startswith("http://127.0.0.1:1/")
    assert first["links"]["self"].startswith(own.base_url)
    assert client.get("/api/lists/" + first["data"][0]["id"]).status_code == 200


def test_faults_with_a_rate_on_every_endpoint(own, client):
    own.faults({"path": "*", "kind": "503", "rate": 0.5, "times": None})
    statuses = {client.get(path).status_code for path in ("/api/lists", "/api/segments") for _ in range(20)}
    assert statuses == {200, 503}
    own.clear_faults()
    with pytest.raises(ValueError, match="a fault has kind"):
        own.faults({"sort": "flood"})


def test_statistics(own, client):
    client.get("/api/lists", params={"sort": "name"})
    client.get("/api/lists/unknown")
    stats = own.stats()
    assert stats["requests"] == 2
    assert {name: one["statuses"] for name, one in stats["endpoints"].items()} == {"/api/lists": {"200": 1}, "/api/lists/{id}": {"404": 1}}
    assert [one["query"] for one in stats["log"]] == ["sort=name", ""]
    own.reset_stats()
    assert own.stats()["requests"] == 0


def test_the_process_ends_with_its_parent():
    command = [sys.executable, "-m", "klaviyo_assets.sandbox", "--child", "--port=0", "--events=0", "--profiles=0", "--reviews=0"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert b"base_url" in child.stdout.readline()
        child.stdin.close()
        assert child.wait(timeout=20) == 0


def test_the_error_names_a_port_in_use(own):
    port = own.base_url.rsplit(":", 1)[1]
    done = subprocess.run([sys.executable, "-m", "klaviyo_assets.sandbox", f"--port={port}"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: cannot listen on 127.0.0.1:{port}")
    assert "Traceback" not in done.stderr


def test_the_command_prints_its_address_and_keys():
    command = [sys.executable, "-m", "klaviyo_assets.sandbox", "--port=0", "--events=0", "--profiles=0", "--reviews=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = []
        while not lines or "klaviyo-assets check" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        process.terminate()
    text = "".join(lines)
    assert f"KLAVIYO_API_KEY={ALL_SCOPES_KEY}" in text
    assert "KLAVIYO_BASE_URL=http://127.0.0.1:" in text
