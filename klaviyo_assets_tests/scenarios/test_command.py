"""The command counts an injected fault as caught only if a scenario finds a wrong table."""

import pytest

from klaviyo_assets.extract import slice_query
from klaviyo_assets_tests.scenarios.command import check_fault
from klaviyo_assets_tests.scenarios.faults import Edit, Fault

pytestmark = pytest.mark.long


def fault(new: str, old: str = "start - _SECOND", scenarios: int = 3) -> Fault:
    return Fault("invented", (Edit(slice_query, "_bounds", old, new),), ("profiles",), max_scenarios=scenarios)


def test_wrong_table_counts_as_caught() -> None:
    result = check_fault(fault("start", scenarios=400), 4)

    assert result.caught
    assert result.outcome.startswith("in scenario ")


def test_error_in_the_edit_is_a_crash() -> None:
    result = check_fault(fault("start - _NO_SUCH_NAME"), 2)

    assert not result.caught
    assert result.outcome == "CRASHED"
    assert "_NO_SUCH_NAME" in result.message


def test_edit_without_a_match_is_a_crash() -> None:
    assert check_fault(fault("", old="no such text"), 2).outcome == "CRASHED"


def test_edit_without_effect_is_not_caught() -> None:
    assert check_fault(fault("start - _SECOND"), 2).outcome == "NOT CAUGHT"
