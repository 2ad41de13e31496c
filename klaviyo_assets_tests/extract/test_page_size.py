"""The number of records that a page is asked for falls where pages are too large, and what one chain has found out counts for the others."""

import pytest

from klaviyo_assets.extract.page_size import PageSize


@pytest.mark.parametrize(("records", "known", "fewer"), [(1000, 0, 125), (1000, 1000, 125), (1000, 1, 1), (125, 1000, 15), (8, 4, 1), (1, 125, 1)])
def test_a_chain_takes_the_smaller_size_that_another_one_has_come_to(records: int, known: int, fewer: int) -> None:
    size = PageSize(1000, records)
    size.shrink(known)
    assert size.records == fewer
