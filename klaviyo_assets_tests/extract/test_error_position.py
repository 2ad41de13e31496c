"""Decode errors become errors of the response, with the position."""

import pytest

from klaviyo_assets.api.klaviyo_errors import InvalidResponse
from klaviyo_assets.decode.malformed import UnreadablePage
from klaviyo_assets.extract.error_position import locating_decode_errors

FOUND = UnreadablePage("Record 3 of the page has no id.")


def of_the_client() -> InvalidResponse:
    error = InvalidResponse("Klaviyo's response is not the JSON that was expected.", endpoint="GET /api/lists", status=200)
    error.__cause__ = FOUND
    return error


@pytest.mark.parametrize("raised", [of_the_client(), FOUND], ids=["of the client", "of a page that is used later"])
def test_the_error_of_an_unreadable_response_has_a_position_once(raised: Exception) -> None:
    """The reader of slices and the whole sync both add it."""
    with pytest.raises(InvalidResponse) as caught, locating_decode_errors(), locating_decode_errors():
        raise raised

    assert str(caught.value).count("Record 3 of the page has no id.") == 1
    assert str(caught.value).startswith("Klaviyo's response is not the JSON that was expected. Record 3 of the page has no id.")


def test_another_error_stays() -> None:
    other = InvalidResponse("A link of Klaviyo's response is not a URL.")
    with pytest.raises(InvalidResponse) as caught, locating_decode_errors():
        raise other

    assert caught.value is other
