"""What the docs site adds to the pages in this folder: the pages of the repository's root, and links that work in both places.

The pages link to each other as files, so that they work where the repository is shown too. mkdocs knows only this folder; these hooks give it
``README.md`` as the first page, ``CHANGELOG.md`` and the others as pages, and turn a link to a source file into one to the repository.
"""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

ROOT_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""The pages of the root, and their names in the site."""

_LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)#\s]+)")
_IMAGE = re.compile(r'<img src="(?P<source>[^"]+)" alt="(?P<alt>[^"]*)"(?: width="(?P<width>\d+)")?\s*/?>')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root."""
    for name, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn images with a width into Markdown, so that mkdocs checks their files, and links between files into links between pages."""
    folder = "." if page.file.src_uri in ROOT_PAGES.values() else "docs"
    markdown = _IMAGE.sub(_as_markdown, markdown)
    return _LINK.sub(lambda link: link_in_site(link[1], folder, str(config.repo_url)), markdown)


def link_in_site(link: str, folder: str, repository: str) -> str:
    """Return what a link of a file in a folder of the repository is in the site.

    Example:
        >>> link_in_site("docs/tables.md", ".", "https://example.com/r"), link_in_site("../README.md", "docs", "https://example.com/r")
        ('tables.md', 'index.md')
        >>> link_in_site("../examples/", "docs", "https://example.com/r")
        'https://example.com/r/blob/main/examples'
    """
    path = PurePosixPath(normpath(f"{folder}/{link}"))
    if str(path) in ROOT_PAGES:
        return ROOT_PAGES[str(path)]
    if path.parts[0] == "docs":
        return relpath(path, "docs")
    return f"{repository}/blob/main/{path}"


def _as_markdown(image: re.Match[str]) -> str:
    width = f"{{ width={image['width']} }}" if image["width"] else ""
    return f"![{image['alt']}]({image['source']}){width}"
