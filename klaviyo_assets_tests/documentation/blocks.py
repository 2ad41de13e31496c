"""The blocks of code in the README and the docs."""

import re
import textwrap
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*/README.md"))]

RUN = ("python", "bash", "yaml")
"""The languages of blocks that a test runs, unless :mod:`klaviyo_assets_tests.documentation.not_run` says why not."""

SHOWN = ("ini", "sql", "text", "dockerfile")
"""The other ones. Tests of the marts run the queries of ``queries.md``."""

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block.

    Args:
        page: The page's path in the repository.
        line: The line of its first line of code.
        language: What the fence says.
        code: The code.
    """

    page: str
    line: int
    language: str
    code: str

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return f"{self.page}:{self.line}"


def blocks(language: str | None = None) -> list[Block]:
    """Return the blocks of all pages, or those in one language."""
    found = [block for page in PAGES for block in blocks_of(page)]
    return [block for block in found if language in (None, block.language)]


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of one page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(str(page.relative_to(ROOT)), text.count("\n", 0, match.start()) + 2, match["language"], textwrap.dedent(match["code"]))
        for match in _BLOCK.finditer(text)
    ]


def run_python(page: str, *, without: Collection[str] = (), given: Mapping[str, object] | None = None) -> ModuleType:
    """Run the Python of a page from top to bottom, as one module, and return it.

    Args:
        page: The page's path in the repository.
        without: Blocks to leave out, each by a text in it.
        given: Names that the module has before.
    """
    module = ModuleType(Path(page).stem.replace("-", "_"))
    module.__dict__.update(given or {})
    for block in blocks_of(ROOT / page):
        if block.language == "python" and not any(text in block.code for text in without):
            exec(compile("\n" * (block.line - 1) + block.code, str(ROOT / page), "exec"), module.__dict__)
    return module
