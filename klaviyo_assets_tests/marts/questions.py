"""The queries of docs/queries.md, by the number of their question."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "queries.md"


def _questions() -> dict[str, str]:
    found = {}
    for number, below in re.findall(r"^### (\d+)\. [^\n]+\n(.*?)(?=^##|\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        for index, sql in enumerate(re.findall(r"```sql\n(.*?)```", below, re.DOTALL)):
            found[number + "abc"[index] if index else number] = sql
    return found


QUESTIONS = _questions()
"""SQL by question; ``16b`` is the second query of question 16."""
