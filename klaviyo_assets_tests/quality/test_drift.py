"""Records that differ from the catalog are kept and reported with an example.

That nothing drifts in the sandbox is checked with its first sync, in sync/test_against_the_truth.py.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from klaviyo_assets.api.klaviyo_errors import InvalidResponse
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.decode.malformed import repair_surrogates, repaired
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.quality.drift import Drift, DriftKind
from klaviyo_assets.quality.inspector import inspecting
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth, without_meta
from klaviyo_assets_tests.load.rewrites.test_reapply_rules import sync_with_rules

NewAccount = Callable[..., SandboxProcess]


def unknown(warehouse: LocalFile, name: str) -> dict[str, Drift]:
    with inspecting(warehouse, CATALOG[name], "klaviyo") as inspector:
        return {one.attribute: one for one in inspector.unknown_attributes()}


def drifts(warehouse: LocalFile, name: str) -> dict[tuple[str, DriftKind], Drift]:
    with inspecting(warehouse, CATALOG[name], "klaviyo") as inspector:
        return {(one.attribute, one.kind): one for one in inspector.drifts()}


CHANGED: dict[str, tuple[str, Any]] = {
    "text to object": ("name", {"en": "Sale", "de": "Verkauf"}),
    "text to number": ("name", 7),
    "text to list": ("name", ["Sale"]),
    "flag to number": ("is_processing", 1),
    "flag to object": ("is_starred", {"by": "Ann"}),
    "flag to text": ("is_active", "yes"),
}


@pytest.mark.long
@pytest.mark.parametrize("change", CHANGED)
def test_a_value_of_another_type_is_kept_and_reported(change: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    attribute_name, value = CHANGED[change]
    sandbox = new_account(segments=5)
    (id_,) = sandbox.change("add", type="segments", attributes={attribute_name: value})

    sync("segments", sandbox, warehouse)

    assert table(warehouse, "segments").height == 6
    found = unknown(warehouse, "segments")[attribute_name]
    assert (found.kind, found.rows, found.example_id) == (DriftKind.OTHER_TYPE, 1, id_)
    assert query(warehouse, f"SELECT json_extract(_extra, '$.{attribute_name}')::VARCHAR FROM segments WHERE id = '{id_}'") == [(found.example,)]


@pytest.mark.long
def test_a_new_attribute_is_reported_with_an_example_that_is_not_personal(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(lists=3, profiles=5)
    sandbox.change("add", type="lists", attributes={'folder "x"': {"id": 1.0}})
    sandbox.change("add", type="profiles", attributes={"nick_name": "Annie"})
    for name in ("lists", "profiles"):
        sync(name, sandbox, warehouse)

    one, other = unknown(warehouse, "lists")['folder "x"'], unknown(warehouse, "profiles")["nick_name"]
    assert (one.kind, one.rows, one.example) == (DriftKind.NEW, 1, '{"id":1.0}')
    assert (other.kind, other.rows, other.example) == (DriftKind.NEW, 1, "a string")


def test_an_object_with_personal_members_is_not_shown(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(reviews=3, campaigns=3)
    sandbox.change("add", type="reviews", attributes={"public_reply": {"author": {"first": "Ann"}, "content": "Hi"}, "status": {"by": "Ann"}})
    sandbox.change("add", type="reviews", attributes={"rating": "five"})
    sandbox.change("add", type="campaigns", attributes={"audiences": {"included": [], "by": "Ann"}})
    for name in ("reviews", "campaigns"):
        sync(name, sandbox, warehouse)

    found = unknown(warehouse, "reviews")
    assert {name: one.example for name, one in found.items()} == {"public_reply": "an object", "status": "an object", "rating": '"five"'}
    assert unknown(warehouse, "campaigns")["audiences"].example == '{"by":"Ann"}'


EMPTY = [None, "", [], {}, {"a": None}, {"a": {"b": [None, {}]}, "c": ""}, [None, ""], {'a, "b': None, "c]": []}]
NOT_EMPTY = [0, False, 0.0, " ", "null", {"a": 0}, {"a": {"b": [None, {"c": False}]}}, [[], "x"], ["", ":"], ":", '"', {"": "}"}]


@pytest.mark.long
@pytest.mark.parametrize("name", ["profiles", "lists"])
def test_an_attribute_that_is_empty_in_every_row_is_not_reported(name: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(lists=3, profiles=5)
    for number, value in enumerate(EMPTY):
        sandbox.change("add", type=name, attributes={f"empty {number}": value, "always null": None, "rare": None})
    (id_,) = sandbox.change("add", type=name, attributes={"always null": None, "rare": 0})

    sync(name, sandbox, warehouse)

    assert {one.attribute: (one.rows, one.example_id) for one in unknown(warehouse, name).values()} == {"rare": (1, id_)}
    kept = query(warehouse, f"SELECT count(*) FROM {name} WHERE json_exists(_extra, '$.rare')")
    assert kept == [(len(EMPTY) + 1,)], "empty values are kept too"


def test_an_attribute_with_a_value_is_reported(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(lists=3)
    for number, value in enumerate(NOT_EMPTY):
        sandbox.change("add", type="lists", attributes={f"new {number}": value})

    sync("lists", sandbox, warehouse)

    assert {name: one.rows for name, one in unknown(warehouse, "lists").items()} == {f"new {number}": 1 for number in range(len(NOT_EMPTY))}


def test_a_new_member_of_a_flattened_object_is_reported_if_it_has_a_value(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(campaigns=3)
    options = [{"new": None}, {"new": None, "ignore_unsubscribes": True}, {"new": 1}, []]
    ids = [sandbox.change("add", type="campaigns", attributes={"send_options": {"use_smart_sending": True, **one} if one else []}) for one in options]

    sync("campaigns", sandbox, warehouse)

    found = unknown(warehouse, "campaigns")
    assert {name: (one.kind, one.rows) for name, one in found.items()} == {"send_options": (DriftKind.OTHER_TYPE, 2)}
    assert query(warehouse, f"SELECT send_options_ignore_unsubscribes FROM campaigns WHERE id = '{ids[1][0]}'") == [(True,)]


def test_an_unmapped_attribute_is_not_reported(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(profiles=5)
    sandbox.change("add", type="profiles", attributes={"joined_group_at": "2026-09-04T13:46:46+00:00"})

    sync("profiles", sandbox, warehouse)

    assert unknown(warehouse, "profiles") == {}
    extra = '{"joined_group_at":"2026-09-04T13:46:46+00:00"}'
    assert query(warehouse, "SELECT _extra FROM profiles WHERE _extra IS NOT NULL") == [(extra,)]


ODD_NAMES = ["a\\b", 'a"b', 'a\\"b', "", "*", "$", "a.b", "a[0]", "\\", '"', "é", "a/b", "a~b", "nul\x00", "_odd_text", "relationships.x"]


@pytest.mark.long
@pytest.mark.parametrize("odd", ODD_NAMES)
def test_any_name_is_reported_with_an_example(odd: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(segments=2)
    sandbox.change("add", type="segments", attributes={odd: {"v": 1}})

    sync("segments", sandbox, warehouse)

    (found,) = unknown(warehouse, "segments").values()
    assert found.attribute.removeprefix("attributes.") == odd
    assert (found.kind, found.example) == (DriftKind.NEW, '{"v":1}')


def test_a_record_of_an_odd_shape_is_reported(new_account: NewAccount, warehouse: LocalFile) -> None:
    sync("lists", new_account(lists=1), warehouse)
    query(warehouse, """UPDATE lists SET _extra = '{"record.id":5,"record.attributes":[],"record.meta":{"a":1}}'""")

    found = unknown(warehouse, "lists")
    assert {name: (one.kind, one.expected, one.example) for name, one in found.items()} == {
        "record.id": (DriftKind.OTHER_TYPE, "a string", "5"),
        "record.attributes": (DriftKind.OTHER_TYPE, "an object", "[]"),
        "record.meta": (DriftKind.NEW, "no such attribute", '{"a":1}'),
    }


@pytest.mark.long
def test_a_new_value_a_null_and_a_cut_text_are_reported(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(reviews=5, campaigns=3, profiles=5)
    (review,) = sandbox.change("add", type="reviews", attributes={"review_type": "video", "verified": None})
    (campaign,) = sandbox.change("add", type="campaigns", attributes={"status": "Paused", "name": None})
    for name in ("reviews", "campaigns"):
        sync(name, sandbox, warehouse)

    reviews, campaigns = drifts(warehouse, "reviews"), drifts(warehouse, "campaigns")
    assert reviews["review_type", DriftKind.NEW_VALUE] == Drift(
        DriftKind.NEW_VALUE, "review_type", "one of question, rating, review, store", 1, review, "video"
    )
    assert reviews["verified", DriftKind.NULL].example_id == review
    assert campaigns["status", DriftKind.NEW_VALUE].example == "Paused"
    assert campaigns["name", DriftKind.NULL].example_id == campaign
    assert table(warehouse, "campaigns").equals(truth(sandbox, "campaigns"))


@pytest.mark.long
def test_half_a_character_is_kept_unchanged_in_extra(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(lone_surrogates=True)

    sync("events", sandbox, warehouse)

    found = drifts(warehouse, "events")["_odd_text", DriftKind.ODD_TEXT]
    assert unknown(warehouse, "events") == {}
    rows = query(warehouse, "SELECT _extra ->> '$._odd_text', event_properties FROM events WHERE _extra IS NOT NULL")
    assert len(rows) == found.rows > 0
    sent = {without_meta(line) for line in sandbox.truth_lines("events")}
    for received, kept in rows:
        assert received.encode() in sent
        readable = repaired(received.encode(), repair_surrogates(received.encode()))
        assert readable != received.encode()
        assert json.loads(readable)["attributes"]["event_properties"] == json.loads(kept)
    assert sync("events", sandbox, warehouse).row.rows_updated == 0


@pytest.mark.long
def test_the_record_as_received_is_not_kept_if_fields_have_rules(new_account: NewAccount, warehouse: LocalFile) -> None:
    sync_with_rules("events", new_account(lone_surrogates=True), warehouse, {"events": {"event_properties.$value": "drop"}})

    found = drifts(warehouse, "events")["_odd_text", DriftKind.ODD_TEXT]
    assert query(warehouse, "SELECT _extra, count(*) FROM events WHERE _extra IS NOT NULL GROUP BY ALL") == [('{"_odd_text":null}', found.rows)]
    assert unknown(warehouse, "events") == {}


@pytest.mark.long
def test_a_difference_is_reported_as_long_as_a_row_has_it(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(reviews=5, lone_surrogates=True)
    sandbox.change("add", type="reviews", attributes={"review_type": "video", "verified": None})
    for name in ("reviews", "events"):
        sync(name, sandbox, warehouse)
    reviews, events = drifts(warehouse, "reviews"), drifts(warehouse, "events")
    sandbox.advance(timedelta(days=1))

    for name in ("reviews", "events"):
        sync(name, sandbox, warehouse)

    assert drifts(warehouse, "reviews") == reviews
    assert reviews.keys() == {("review_type", DriftKind.NEW_VALUE), ("verified", DriftKind.NULL)}
    later = drifts(warehouse, "events")
    assert later.keys() == events.keys()
    assert all(later[key].rows >= one.rows for key, one in events.items()), "late events arrive during the day"


def test_a_null_of_json_is_reported(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(campaigns=3)
    (id_,) = sandbox.change("add", type="campaigns", attributes={"send_strategy": None})

    sync("campaigns", sandbox, warehouse)

    found = drifts(warehouse, "campaigns")["send_strategy", DriftKind.NULL]
    assert (found.rows, found.example_id) == (1, id_)


def test_a_value_of_another_type_is_not_a_null(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(campaigns=3)
    sandbox.change("add", type="campaigns", attributes={"name": 7, "audiences": {"included": "all"}})
    (without,) = sandbox.change("add", type="campaigns", attributes={"audiences": {"of": "all"}})

    sync("campaigns", sandbox, warehouse)

    assert {key: one.example_id for key, one in drifts(warehouse, "campaigns").items()} == {("audiences_included", DriftKind.NULL): without}


@pytest.mark.long
def test_checks_accept_a_table_that_lacks_new_columns(new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(reviews=3)
    sync("reviews", sandbox, warehouse)
    query(warehouse, "ALTER TABLE reviews DROP COLUMN review_type; ALTER TABLE reviews DROP COLUMN verified; DROP TABLE _null_rates")

    assert drifts(warehouse, "reviews") == {}


@pytest.mark.long
def test_columns_with_field_rules_are_not_reported(new_account: NewAccount, warehouse: LocalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_FIELD_SALT", "0123456789abcdef0123456789abcdef")
    sandbox = new_account(reviews=5, campaigns=3)
    rules = {"reviews": {"review_type": "hash", "verified": "drop", "status.value": "hash"}, "campaigns": {"send_strategy": "drop"}}
    for name in ("reviews", "campaigns"):
        sync(name, sandbox, warehouse)
        sync_with_rules(name, sandbox, warehouse, rules)

        assert drifts(warehouse, name) == {}


@pytest.mark.long
@pytest.mark.parametrize(
    "extra",
    ['{"record.id":5}', '{"record.attributes":[]}', '{"record.relationships":[],"record.meta":{"a":1.0}}', '{"attributes._odd_text":1,"a":2}'],
)
def test_members_without_a_column_stay_in_extra(extra: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sync("lists", new_account(lists=1), warehouse)
    query(warehouse, f"UPDATE lists SET id = '5', _extra = '{extra}'")
    query(warehouse, "ALTER TABLE lists DROP COLUMN flow_trigger_ids")

    with warehouse.transaction() as connection:
        Tables(warehouse, "klaviyo", CATALOG["lists"]).prepare(connection)

    assert query(warehouse, "SELECT _extra FROM lists") == [(extra,)]


@pytest.mark.long
@pytest.mark.parametrize(("kind", "words"), [("badjson", "broken JSON"), ("no_links", "has no links"), ("no_data", "not a collection")])
def test_a_sync_that_cannot_read_a_response_says_why(kind: str, words: str, new_account: NewAccount, warehouse: LocalFile) -> None:
    sandbox = new_account(lists=3)
    sync("lists", sandbox, warehouse)
    sandbox.faults({"path": "/api/lists", "kind": kind, "times": 99, "after": 1})

    with pytest.raises(InvalidResponse, match=words):
        sync("lists", sandbox, warehouse, max_retries=0)

    assert words in query(warehouse, "SELECT error FROM _syncs WHERE outcome = 'failed'")[0][0]
