"""Typed columns with values of a profile's ``subscriptions``: from pages, from stored rows, and under field rules."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.columns import WITHIN
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.privacy.apply import rule_sets_for
from klaviyo_assets.privacy.hashing import SALT_VARIABLE
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth
from klaviyo_assets_tests.contract.digest import DIGEST
from klaviyo_assets_tests.load.rewrites.test_reapply_rules import SALT, sync_with_rules

PROFILES = CATALOG["profiles"]
DERIVED = [column.name for column in PROFILES.columns if column.path[0] == WITHIN]

SUPPRESSED = {"email": {"marketing": {"consent": "SUBSCRIBED", "suppression": [{"reason": "HARD_BOUNCE", "timestamp": "2026-01-02T03:04:05+00:00"}]}}}


def decoded(subscriptions: Any, rules: dict[str, str] | None = None) -> dict[str, Any]:
    """Decode one profile; return the derived columns without nulls."""
    record = {"type": "profile", "id": "1", "attributes": {"subscriptions": subscriptions}}
    frame = PageDecoder(PROFILES).page(json.dumps({"data": [record]}).encode()).frame
    if rules:
        frame = rule_sets_for({"profiles": rules})["profiles"].apply(frame)
    (row,) = frame.select(DERIVED).to_dicts()
    return {name: value for name, value in row.items() if value is not None}


def test_values_come_from_the_paths_of_the_catalog() -> None:
    found = decoded(SUPPRESSED | {"whatsapp": {"marketing": {"can_receive": True}}, "sms": None})

    assert found["email_suppressed_at"].isoformat() == "2026-01-02T03:04:05+00:00"
    del found["email_suppressed_at"]
    assert found == {"email_marketing_consent": "SUBSCRIBED", "email_suppression_reason": "HARD_BOUNCE", "can_receive_whatsapp_marketing": True}


def suppressions(structure: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the paths of the members with ``suppress`` in their name, within ``subscriptions`` of the recorded records."""
    if isinstance(structure, list):
        for one in structure:
            yield from suppressions(one, path)
    elif isinstance(structure, dict):
        for name, member in structure.items():
            if "subscriptions" in path and "suppress" in name:
                yield ".".join((*path[path.index("subscriptions") :], name))
            yield from suppressions(member, (*path, name))


def test_every_suppression_that_klaviyo_returns_has_a_column() -> None:
    """Klaviyo returns suppressions of e-mail only; those of another channel would need columns, and the page about tables says why there are none."""
    returned = {path for response in DIGEST["recorded"].values() for path in suppressions(response["body"])}

    assert returned == {"subscriptions.email.marketing.suppression", "subscriptions.email.marketing.list_suppressions"}
    sources = [".".join(column.path[1:]) for column in PROFILES.columns if column.path[0] == WITHIN]
    for path in returned:
        assert any(source.startswith(path) for source in sources), path


@pytest.mark.parametrize(
    "subscriptions", [None, 7, "x", [], {"email": 7}, {"email": {"marketing": {"consent": 7, "suppression": [], "list_suppressions": []}}}]
)
def test_values_of_another_type_are_null(subscriptions: Any) -> None:
    assert decoded(subscriptions) == {}


def test_one_value_of_another_type_does_not_hide_the_others() -> None:
    lists = {"list_suppressions": [{"list_id": "a"}, {"list_id": None}, {"list_id": "b"}], "consent": 7}

    assert decoded({"email": {"marketing": lists | {"can_receive_email_marketing": False, "consent_timestamp": "soon"}}}) == {
        "can_receive_email_marketing": False,
        "email_suppressed_list_ids": ["a", None, "b"],
    }


def test_field_rules_apply_to_the_copies_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SALT_VARIABLE, SALT)

    assert decoded(SUPPRESSED, {"subscriptions": "drop"}) == {}
    assert "email_suppression_reason" not in decoded(SUPPRESSED, {"subscriptions.email.marketing.suppression": "drop"})
    hashed = decoded(SUPPRESSED, {"subscriptions.email.marketing.consent": "hash"})
    assert hashed["email_marketing_consent"].startswith("sha256:")
    assert hashed["email_marketing_consent"] != "SUBSCRIBED"


@pytest.mark.duckdb
def test_stored_rows_get_the_columns_without_a_new_read(account: SandboxProcess, warehouse: LocalFile) -> None:
    older = replace(PROFILES, columns=tuple(column for column in PROFILES.columns if column.name not in DERIVED))
    sync(older, account, warehouse)

    report = sync("profiles", account, warehouse)

    assert report.row.records_read < report.row_count / 2
    assert (report.row.rows_inserted, report.row.rows_updated) == (0, 0)
    assert_frame_equal(table(warehouse, "profiles"), truth(account, "profiles"), check_column_order=False)
    assert query(warehouse, "SELECT count(email_marketing_consent) > 0 FROM profiles") == [(True,)]


@pytest.mark.long
@pytest.mark.duckdb
def test_a_rule_that_is_added_later_removes_the_copies_of_stored_rows(account: SandboxProcess, warehouse: LocalFile) -> None:
    sync("profiles", account, warehouse)

    sync_with_rules("profiles", account, warehouse, {"profiles": {"subscriptions": "drop"}})

    counts = ", ".join(f"count({name})" for name in ("subscriptions", *DERIVED))
    assert query(warehouse, f"SELECT {counts} FROM profiles") == [(0,) * (len(DERIVED) + 1)]
