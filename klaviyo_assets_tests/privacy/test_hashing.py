"""The same value, written in several ways, has one hash; different values have different ones."""

import pytest

from klaviyo_assets.privacy.hashing import Kind, Salt, kind_of, normalized

SALT = Salt("0123456789abcdef")


@pytest.mark.parametrize("text", ["+49 170 1234567", "0049 (170) 123-45.67", "491701234567", " +49/170/1234567 ", "+٤٩١٧٠١٢٣٤٥٦٧"])
def test_a_phone_number_has_one_hash(text: str) -> None:
    assert normalized(text, Kind.PHONE) == "+491701234567"


@pytest.mark.parametrize(
    ("one", "other"), [("iOS", "Android"), ("Golf 7", "Polo 7"), ("", "unknown"), ("", "+"), ("١٢٣٤٥٦٧", "٧٦٥٤٣٢١"), ("-------", "")]
)
def test_values_that_are_not_phone_numbers_have_different_hashes(one: str, other: str) -> None:
    assert SALT.hash(one, Kind.PHONE) != SALT.hash(other, Kind.PHONE)


def test_an_address_is_recognized_by_its_at_sign() -> None:
    assert normalized(" Ann@Example.com", Kind.EMAIL) == "ann@example.com"
    assert SALT.hash("Welcome", Kind.EMAIL) != SALT.hash("welcome", Kind.EMAIL)
    assert SALT.hash("", Kind.EMAIL) != SALT.hash(" ", Kind.EMAIL)


@pytest.mark.parametrize(
    ("name", "kind"),
    {
        "email": Kind.EMAIL,
        "$email": Kind.EMAIL,
        "Billing E-Mail": Kind.EMAIL,
        "customerEmail": Kind.EMAIL,
        "email_address": Kind.EMAIL,
        "phone_number": Kind.PHONE,
        "PhoneNumber": Kind.PHONE,
        "mobilePhone": Kind.PHONE,
        "Telephone": Kind.PHONE,
        "mobile": Kind.PHONE,
        "automobile_model": Kind.TEXT,
        "headphone_brand": Kind.TEXT,
        "microphone": Kind.TEXT,
        "female_mailing": Kind.TEXT,
    }.items(),
)
def test_the_kind_of_a_field_follows_from_its_name(name: str, kind: Kind) -> None:
    assert kind_of(name) is kind
