"""A person's names are found in every spelling, and nothing else changes."""

import json
import re
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.erasure.mentions import ERASED, Mentions

EMAIL, PHONE, ID = "ann@example.com", "+491701234567", "01H2ABCDEFGHJKMNPQRSTVWXYZ"

MENTIONS = Mentions({EMAIL}, {PHONE}, {ID})

NAMED = {
    "alone": "ann@example.com",
    "large letters": "ANN@Example.COM",
    "in brackets": "Anna <ann@example.com>, see",
    "in a list": "-ann@example.com",
    "in Markdown": "_ann@example.com_",
    "a sentence after it": "write to ann@example.com.Thanks",
    "a full stop": "ann@example.com.",
    "a dash after it": "ann@example.com- ",
    "a link": "mailto:ann@example.com?subject=x",
    "in a URL": "https://s.example/?e=ann%40example.com&x=1",
    "in a URL in a URL": "https://s.example/?u=%2F%3Fe%3Dann%2540example.com",
    "a space of a URL before it": "to%20ann@example.com",
    "other letters in a URL": "a%6En%40example%2ecom",
    "an escape": r"ann\u0040example.com",
    "JSON in JSON": '{\\"note\\": \\"from\\\\nann\\\\u0040example.com\\"}',
    "HTML": "ann&#64;example.com or ann&#x40;example.com",
    "a phone number": "tel:+491701234567",
    "its digits": "call 491701234567!",
    "00 before it": "00491701234567",
    "spaces": "+49 170 1234567",
    "other marks": "+49 (0)170/123-45.67",
    "narrow spaces": "+49\u202f170\u00a01234567",
    "a phone number in a URL": "?p=%2B49%201701234567",
    "an id": f"/profile/{ID}/",
    "an id after an escape": rf"x\n{ID}",
}

OTHERS = [
    "joann@example.com",
    "jo.ann@example.com",
    "jo+ann@example.com",
    "jo%2Bann%40example.com",
    "ann@example.com.au",
    "ann@example.community",
    "ann@example.com-shop.de",
    "1491701234567",
    "4917012345678",
    "+49 170 1234568",
    ID.lower(),
    f"x{ID}",
]


def is_candidate(text: str) -> bool:
    ((found,),) = duckdb.execute("SELECT regexp_matches(?, ?, 'i')", [text, MENTIONS.candidate]).fetchall()
    return bool(found)


@pytest.mark.parametrize("text", NAMED.values(), ids=NAMED)
def test_a_name_is_removed(text: str) -> None:
    left = MENTIONS.redacted(text)

    assert ERASED in left
    assert not re.search(r"\bann\b|6En%40|example(?:\.|%2e)com|567|QRST", left, re.IGNORECASE)
    assert MENTIONS.redacted(left) == left
    assert is_candidate(text)


@pytest.mark.parametrize("text", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_name_is_removed_from_json_which_stays_json(text: str, ascii_only: bool) -> None:
    document = json.dumps({"a": [f"Ä 😀\n{text}\t"], text: 1.0}, ensure_ascii=ascii_only)

    left = MENTIONS.redacted_json(document)

    assert json.loads(left) == {"a": [f"Ä 😀\n{MENTIONS.redacted(text)}\t"], MENTIONS.redacted(text): 1.0}
    assert is_candidate(document)


@pytest.mark.parametrize("text", OTHERS)
def test_other_people_stay(text: str) -> None:
    assert MENTIONS.redacted(text) == text
    assert MENTIONS.redacted_json(json.dumps([text])) == json.dumps([text])


def test_only_the_name_changes_in_json() -> None:
    before = r'{ "\u0061" : "\u00e4 \/ \ud83d\ude00\nann\u0040example.com \"", "n":1.0E+5 ,"p": [491701234567, 4.91701234567E11, 491701234568]}'
    after = r'{ "\u0061" : "\u00e4 \/ \ud83d\ude00\n[erased] \"", "n":1.0E+5 ,"p": ["[erased]", "[erased]", 491701234568]}'

    assert MENTIONS.redacted_json(before) == after


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(value=VALUES, indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_text_without_a_name_does_not_change(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    assert MENTIONS.redacted_json(text) == text


@given(before=st.text(alphabet=" \n\t\"'<>:;,=()[]/\\ä😀", max_size=4), after=st.text(alphabet=" \n\t\"'<>:;,=()[]?&\\", max_size=4))
def test_a_name_between_punctuation_is_removed(before: str, after: str) -> None:
    for name in (EMAIL, PHONE, ID):
        assert name not in json.loads(MENTIONS.redacted_json(json.dumps([f"{before if before[-1:] != 'ä' else ''}{name}{after}"])))[0]
