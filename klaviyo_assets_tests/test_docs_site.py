"""What the docs site is made of. The site itself is built, and its links and anchors checked, by ``make docs-site``."""

import re
from pathlib import Path

import klaviyo_assets

ROOT = Path(__file__).parents[1]
SITE = (ROOT / "mkdocs.yml").read_text()


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} | {"index.md", "changelog.md", "contributing.md", "security.md"}

    assert set(re.findall(r": ([\w-]+\.md)$", SITE, re.MULTILINE)) == pages, "add the page to nav in mkdocs.yml"


def test_the_reference_has_every_public_name() -> None:
    reference = re.findall(r"^::: klaviyo_assets\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)

    assert {*reference, "CATALOG", "__version__"} == {*klaviyo_assets.__all__, "catalog", "warehouse"}


def test_the_addresses_are_the_same_placeholders_in_the_package_and_the_site() -> None:
    packaging = (ROOT / "pyproject.toml").read_text()
    assert "PLACEHOLDER" in SITE
    assert "PLACEHOLDER" in packaging
    addresses = set(re.findall(r"https://example\.com/[^\s\"]*", SITE))

    assert addresses <= set(re.findall(r"https://example\.com/[^\s\"]*", packaging))
