"""What the command says of a planted fault: only a table that is found to be wrong counts."""

import pytest

from klaviyo_assets.extract import slice_query
from klaviyo_assets_tests.scenarios.command import tried
from klaviyo_assets_tests.scenarios.faults import Edit, Fault

pytestmark = pytest.mark.long


def fault(new: str, old: str = "start - _SECOND", lives: int = 3) -> Fault:
    return Fault("made up", (Edit(slice_query, "_bounds", old, new),), ("profiles",), most_lives=lives)


def test_a_wrong_table_counts() -> None:
    found = tried(fault("start", lives=400), 4)

    assert found.right
    assert found.outcome.startswith("in life ")


def test_an_error_of_the_edit_does_not() -> None:
    found = tried(fault("start - _NO_SUCH_NAME"), 2)

    assert not found.right
    assert found.outcome == "CRASHED"
    assert "_NO_SUCH_NAME" in found.words


def test_neither_does_an_edit_that_finds_nothing_to_replace() -> None:
    assert tried(fault("", old="no such text"), 2).outcome == "CRASHED"


def test_nor_one_that_changes_nothing() -> None:
    assert tried(fault("start - _SECOND"), 2).outcome == "NOT CAUGHT"
