"""The same value, written in several ways, has one hash; different values have different ones."""

import copy
import pickle
from collections.abc import Callable

import pytest

from klaviyo_assets.privacy.apply import FieldRuleSet
from klaviyo_assets.privacy.hashing import Salt, ValueKind, normalized, value_kind_of

SALT = Salt("0123456789abcdef")


@pytest.mark.parametrize("text", ["+49 170 1234567", "0049 (170) 123-45.67", "491701234567", " +49/170/1234567 ", "+٤٩١٧٠١٢٣٤٥٦٧"])
def test_a_phone_number_has_one_hash(text: str) -> None:
    assert normalized(text, ValueKind.PHONE) == "+491701234567"


@pytest.mark.parametrize(
    ("one", "other"), [("iOS", "Android"), ("Golf 7", "Polo 7"), ("", "unknown"), ("", "+"), ("١٢٣٤٥٦٧", "٧٦٥٤٣٢١"), ("-------", "")]
)
def test_values_that_are_not_phone_numbers_have_different_hashes(one: str, other: str) -> None:
    assert SALT.hash(one, ValueKind.PHONE) != SALT.hash(other, ValueKind.PHONE)


def test_an_address_is_recognized_by_its_at_sign() -> None:
    assert normalized(" Ann@Example.com", ValueKind.EMAIL) == "ann@example.com"
    assert SALT.hash("Welcome", ValueKind.EMAIL) != SALT.hash("welcome", ValueKind.EMAIL)
    assert SALT.hash("", ValueKind.EMAIL) != SALT.hash(" ", ValueKind.EMAIL)


@pytest.mark.parametrize(
    ("name", "kind"),
    {
        "email": ValueKind.EMAIL,
        "$email": ValueKind.EMAIL,
        "Billing E-Mail": ValueKind.EMAIL,
        "customerEmail": ValueKind.EMAIL,
        "email_address": ValueKind.EMAIL,
        "phone_number": ValueKind.PHONE,
        "PhoneNumber": ValueKind.PHONE,
        "mobilePhone": ValueKind.PHONE,
        "Telephone": ValueKind.PHONE,
        "mobile": ValueKind.PHONE,
        "automobile_model": ValueKind.TEXT,
        "headphone_brand": ValueKind.TEXT,
        "microphone": ValueKind.TEXT,
        "female_mailing": ValueKind.TEXT,
    }.items(),
)
def test_the_kind_of_a_field_follows_from_its_name(name: str, kind: ValueKind) -> None:
    assert value_kind_of(name) is kind


@pytest.mark.parametrize("save", [pickle.dumps, copy.deepcopy], ids=["pickle", "copy"])
@pytest.mark.parametrize("value", [SALT, FieldRuleSet(salt=SALT)], ids=["the salt", "rules with it"])
def test_a_salt_cannot_be_pickled(save: Callable[[object], object], value: object) -> None:
    with pytest.raises(TypeError, match="A salt cannot be pickled: the pickle would reveal it"):
        save(value)
