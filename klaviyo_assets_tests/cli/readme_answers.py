"""Writes the answers that the README shows: those of the demo's account at a fixed time, so that they are the same on each machine and day.

Run ``python -m klaviyo_assets_tests.cli.readme_answers`` after a change of the sandbox's shop, of the marts or of the demo's answers.
"""

import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from klaviyo_assets.cli.answers import answers
from klaviyo_assets.marts.library import read_models
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets.warehouse.default_name import DEFAULT_SCHEMA
from klaviyo_assets_tests.accounts import local_file, sync
from klaviyo_assets_tests.forked_sandbox import ForkedSandbox

README = Path(__file__).parents[2] / "README.md"
NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)

TYPES = (
    *("accounts", "metrics", "mapped_metrics", "events", "profiles"),
    *("campaigns", "campaign_messages", "flows", "flow_actions", "flow_messages", "lists"),
)
"""What the answers are computed from."""

ANSWERED = ("account_daily", "campaign_performance", "list_growth_daily")

_BLOCK = re.compile(r"(?<=After the row counts, the demo prints what the data says:\n\n```text\n).*?(?=```\n)", re.DOTALL)


def computed(folder: Path) -> str:
    """Return what the demo prints after the row counts, for its account at a fixed time.

    Args:
        folder: Where the database is created.
    """
    warehouse = local_file(folder, "demo.duckdb")
    with ForkedSandbox(SandboxOptions(base=NOW, clock=NOW, limits=False)) as sandbox:
        for name in TYPES:
            sync(name, sandbox, warehouse)
    for result in MartRunner(warehouse, DEFAULT_SCHEMA, read_models()).run(ANSWERED, now=NOW):
        result.raise_if_failed()
    return "\n\n".join("\n".join(line.rstrip() for line in answer.splitlines()) for answer in answers(warehouse, NOW)) + "\n"


def shown() -> str:
    """Return what the README shows.

    Raises:
        ValueError: If the README has no such block.
    """
    found = _BLOCK.search(README.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError("README.md has no block with the demo's answers")
    return found[0]


def write() -> None:
    """Write the answers into the README."""
    shown()
    with tempfile.TemporaryDirectory() as folder:
        text = computed(Path(folder))
    README.write_text(_BLOCK.sub(lambda _: text, README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
