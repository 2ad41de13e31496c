"""The generated parts of the docs match the catalog, options and definitions, and no link in the docs is broken."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from klaviyo_assets._internal.option import Option
from klaviyo_assets.settings.options import OPTIONS
from klaviyo_assets_tests.scenarios.faults import FAULTS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*/README.md")])

_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


@pytest.fixture(scope="module")
def generate() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        yield importlib.import_module("generate")


def test_the_generated_parts_are_not_stale(generate: ModuleType) -> None:
    stale = [path.name for path, text in generate.pages().items() if path.read_text() != text]

    assert stale == [], "run: make docs"


def test_every_part_is_on_a_page(generate: ModuleType) -> None:
    used = {part for page in PAGES for part in re.findall(r"<!-- generated: ([a-z]+) -->", page.read_text())}

    assert used == set(generate.PARTS)


def test_a_stale_part_is_found(generate: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(generate.PARTS, "limits", lambda: "another table\n")

    text = generate.pages()[ROOT / "docs" / "klaviyo-account.md"]
    assert "<!-- generated: limits -->\nanother table\n<!-- end -->" in text


@pytest.mark.parametrize("option", OPTIONS.values(), ids=list(OPTIONS))
def test_every_option_is_documented(option: Option) -> None:
    assert f"{option.variable}=" in (ROOT / ".env.example").read_text()
    assert f"`{option.variable}` | {option.description}" in (ROOT / "docs" / "options.md").read_text()


def test_the_page_about_failures_has_the_number_of_injected_faults() -> None:
    assert f"; {len(FAULTS)} injected faults, all found;" in (ROOT / "docs" / "failures.md").read_text()


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub generates them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_are_not_broken(page: Path) -> None:
    for path, anchor in _LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target), f"{path}#{anchor}"


def test_a_collection_that_only_others_read_needs_a_reason(generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "peers.csv").write_text("collection,ours,PostHog,reason\nlists,lists,yes,\nbrands,,yes,\n")
    monkeypatch.setattr(generate, "ROOT", tmp_path)

    with pytest.raises(ValueError, match="A peer reads brands"):
        generate.comparison()
