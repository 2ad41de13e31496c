"""Field rules applied to rows: whole columns, lists and members of JSON."""

import json

import polars as pl
import pytest

from klaviyo_assets.privacy.apply import FieldRuleSet, rule_sets_for
from klaviyo_assets.privacy.hashing import Salt
from klaviyo_assets.privacy.rules import FieldRules

SECRET = "a secret of the tests, long enough"
SALT = Salt(SECRET)


@pytest.fixture(autouse=True)
def salt(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_FIELD_SALT", SECRET)


def rule_set(rules: FieldRules) -> FieldRuleSet:
    ((_, found),) = rule_sets_for(rules).items()
    return found


def test_dropping_extra_as_a_whole_keeps_no_unknown_attribute() -> None:
    frame = pl.DataFrame({"id": ["1", "2"], "email": ["ann@example.com", None], "_extra": ['{"nick_name":"Annie"}', None]})

    found = rule_set({"profiles": {"_extra": "drop"}}).apply(frame)

    assert found.to_dict(as_series=False) == {"id": ["1", "2"], "email": ["ann@example.com", None], "_extra": [None, None]}
    assert found.schema == frame.schema


def test_each_text_of_a_list_is_hashed_once_however_often_the_rule_is_applied() -> None:
    urls: list[list[str | None] | None] = [["https://example.com/a.png", None], [], None]
    frame = pl.DataFrame({"id": ["1", "2", "3"], "images": pl.Series(urls, dtype=pl.List(pl.String))})
    rules = rule_set({"reviews": {"images": "hash"}})

    found = rules.apply(frame)

    assert found["images"].to_list() == [[SALT.hash("https://example.com/a.png"), None], [], None]
    assert rules.apply(found, again=True).equals(found)


def test_a_member_that_is_null_stays_null_and_other_values_are_hashed_by_their_text() -> None:
    texts = ['{"tier":null,"age":1.0}', '{"tier":"gold"}', '{"tier":7}']

    found = rule_set({"profiles": {"properties.tier": "hash"}}).apply(pl.DataFrame({"properties": texts}))["properties"]

    assert found[0] == texts[0]
    assert [json.loads(text)["tier"] for text in found[1:]] == [SALT.hash("gold"), SALT.hash("7")]
