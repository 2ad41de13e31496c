"""The helpers of the tests that cover every resource type."""

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets_tests.each import each
from klaviyo_assets_tests.outside_types import CATALOG as WITH_TYPES_FROM_OUTSIDE
from klaviyo_assets_tests.shapes import representatives, traits


def test_a_test_of_each_type_runs_for_all_and_reports_every_failure() -> None:
    seen = []

    @each(CATALOG.values())
    def no_type_has_three_letters(entry: ResourceType, forbidden: str) -> None:
        seen.append(entry.name)
        assert entry.name not in forbidden

    with pytest.raises(ExceptionGroup, match=r"no_type_has_three_letters fails for forms, tags") as caught:
        no_type_has_three_letters(forbidden="tags and forms")

    assert seen == [*CATALOG]
    assert [error.__notes__ for error in caught.value.exceptions] == [["Resource type: forms"], ["Resource type: tags"]]


def test_a_test_of_no_type_is_an_error() -> None:
    with pytest.raises(AssertionError, match="a test of no type cannot fail"):
        each([])


def test_representatives_have_every_trait() -> None:
    types = WITH_TYPES_FROM_OUTSIDE.values()
    chosen = representatives(types)

    assert set().union(*map(traits, chosen)) == set().union(*map(traits, types))
    assert len(chosen) < len(types) / 2
