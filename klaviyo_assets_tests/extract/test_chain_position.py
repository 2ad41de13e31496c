"""The position of a page in a cursor chain, from its link."""

import pytest

from klaviyo_assets.extract.chain_position import Position, position_after


@pytest.mark.parametrize(
    "link",
    ["https://a.klaviyo.com/api/coupon-codes?page%5Bcursor%5D=bmV4dA", "/api/coupon-codes?filter=x&page[cursor]=bmV4dA&page[size]=100"],
    ids=["whole", "relative"],
)
def test_the_cursor_of_the_link_is_the_position(link: str) -> None:
    assert position_after(link, 3) == Position("bmV4dA", 3)


@pytest.mark.parametrize(
    "link", [None, "", "/api/coupon-codes", "/api/coupon-codes?page[cursor]=", "https://[1/api?page[cursor]=a", "http://[1::2::3]/?page[cursor]=a"]
)
def test_a_link_without_a_cursor_and_what_is_no_link_have_none(link: str | None) -> None:
    assert position_after(link, 3) is None
