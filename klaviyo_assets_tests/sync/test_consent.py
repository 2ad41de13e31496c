"""Consent changes that do not change ``updated`` are found by their own time fields."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth

pytestmark = pytest.mark.long

NewAccount = Callable[..., SandboxProcess]

KINDS = {
    "suppressed": ("suppression", {"reason": "HARD_BOUNCE"}),
    "unsubscribed from a list": ("list_suppressions", {"reason": "UNSUBSCRIBE", "list_id": "AbCdEf"}),
}


def suppress(sandbox: SandboxProcess, id_: str, kind: str) -> None:
    """Suppress a profile without changing its ``updated``."""
    (profile,) = [one for one in sandbox.truth("profiles") if one["id"] == id_]
    subscriptions: dict[str, Any] = profile["attributes"]["subscriptions"]
    name, entry = KINDS[kind]
    subscriptions["email"]["marketing"][name] = [entry | {"timestamp": sandbox.now().isoformat()}]
    sandbox.change("update", type="profiles", id=id_, attributes={"subscriptions": subscriptions}, moves=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_consent_change_is_found_by_the_next_sync(kind: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(profiles=150)
    sync("profiles", sandbox, warehouse)
    ids = table(warehouse, "profiles")["id"].to_list()
    for number, wait in enumerate((timedelta(minutes=5), timedelta(days=3), timedelta(hours=2))):
        sandbox.advance(wait)
        suppress(sandbox, ids[number], kind)
        sandbox.advance(timedelta(minutes=1))
        before = truth(sandbox, "profiles").filter(id=ids[number])["updated"][0]

        report = sync("profiles", sandbox, warehouse)

        assert before < sandbox.now() - timedelta(hours=1) or number == 0
        assert report.row.rows_updated == 1
        assert table(warehouse, "profiles").equals(truth(sandbox, "profiles"))


def test_a_consent_change_is_found_after_a_failed_sync(new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    sandbox = new_account(profiles=150)
    sync("profiles", sandbox, warehouse)
    (id_,) = table(warehouse, "profiles")["id"].to_list()[:1]
    sandbox.advance(timedelta(days=2))
    suppress(sandbox, id_, "suppressed")
    sandbox.advance(timedelta(days=2))
    sandbox.faults({"path": "/api/profiles", "kind": "503", "times": None, "after": 3})
    with pytest.raises(KlaviyoError):
        sync("profiles", sandbox, warehouse, concurrency=1)
    sandbox.clear_faults()
    sandbox.advance(timedelta(days=2))

    sync("profiles", sandbox, warehouse)

    assert table(warehouse, "profiles").equals(truth(sandbox, "profiles"))


def test_an_idle_sync_sends_one_request_per_consent_field(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(profiles=150)
    for _ in range(3):
        report = sync("profiles", sandbox, warehouse)
        sandbox.advance(timedelta(hours=1))

    fields = [field for (field,) in query(warehouse, "SELECT field FROM _coverage ORDER BY field")]
    assert len(fields) == len(set(fields)) + fields.count("updated") - 1, "adjacent windows are merged"
    assert sum("suppression" in name for name in report.slices) == 2
    assert report.row.requests <= 6
