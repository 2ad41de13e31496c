"""The name of a part of a parent's children says which part it is; other texts name none."""

from datetime import UTC, datetime

import pytest

from klaviyo_assets.state.child_parts import BEGINNING, END, EVERYTHING, ChildPart
from klaviyo_assets.state.coverage import TimeWindow

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("state", [None, "UNASSIGNED", "moved from A to B"])
@pytest.mark.parametrize("window", [EVERYTHING, TimeWindow(BEGINNING, NOON), TimeWindow(NOON, END)])
def test_a_part_is_found_again_by_its_name(state: str | None, window: TimeWindow) -> None:
    part = ChildPart(state, window)

    assert ChildPart.parse(part.name) == part


@pytest.mark.parametrize("text", ["", "all", "UNASSIGNED from …", "mail from Ann to Bob", "any state from 2026-13-01 to …", "any state from … to ?"])
def test_other_texts_name_no_part(text: str) -> None:
    assert ChildPart.parse(text) is None
