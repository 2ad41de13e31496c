"""The page size shrinks if pages are too large, and chains share the smaller size."""

import pytest

from klaviyo_assets.extract.page_size import ChainPageSize


@pytest.mark.parametrize(("records", "known", "fewer"), [(1000, 0, 125), (1000, 1000, 125), (1000, 1, 1), (125, 1000, 15), (8, 4, 1), (1, 125, 1)])
def test_a_chain_uses_the_smaller_page_size_of_another_chain(records: int, known: int, fewer: int) -> None:
    size = ChainPageSize(1000, records)
    size.shrink(known)
    assert size.records == fewer
