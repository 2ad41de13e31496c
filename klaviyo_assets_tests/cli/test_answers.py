"""Charts in the terminal."""

import io
import sys

import pytest

from klaviyo_assets.cli.answers import bar, sparkline


def test_charts_show_proportions() -> None:
    assert [len(bar(share)) for share in (0, 0.001, 0.5, 1)] == [0, 1, 12, 24]
    assert sparkline([1, 8, 4.5]) == "▁█▅"
    assert sparkline([3, 3]) == "▁▁"


def test_charts_use_the_characters_of_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert (bar(1), sparkline([1, 8])) == ("#" * 24, "_#")
