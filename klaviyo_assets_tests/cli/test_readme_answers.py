"""The README shows the answers that the demo prints."""

from pathlib import Path

import pytest

from klaviyo_assets_tests.cli.readme_answers import computed, shown


@pytest.mark.slow
def test_the_readme_shows_the_answers_of_the_demo(tmp_path: Path) -> None:
    assert shown() == computed(tmp_path), "run python -m klaviyo_assets_tests.cli.readme_answers"
