"""The YAML in the docs is accepted by what reads it: run config by the jobs, ``dagster.yaml`` by Dagster, and so on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets_tests.dagster_layer.projects import loaded, text
from klaviyo_assets_tests.documentation.blocks import Block, blocks
from klaviyo_assets_tests.documentation.not_run import NOT_RUN

Checker = Callable[[Any, Path], None]


def _run_config(content: Any, folder: Path) -> None:
    defs = build_klaviyo_definitions(KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_API_KEY")), duckdb=folder / "warehouse.duckdb")

    assert dg.validate_run_config(defs.resolve_job_def("klaviyo_sync"), content)


def _instance(content: Any, folder: Path) -> None:
    (folder / "dagster.yaml").write_text(yaml.safe_dump(content))
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert instance.get_settings(next(iter(content)))


def _component(content: Any, folder: Path) -> None:
    with loaded(text(content)) as defs:
        dg.Definitions.validate_loadable(defs)


CHECKERS: dict[frozenset[str], Checker] = {
    frozenset({"ops"}): _run_config,
    frozenset({"freshness"}): _instance,
    frozenset({"type", "attributes", "requirements"}): _component,
    frozenset({"type", "attributes", "requirements", "post_processing"}): _component,
}
"""What checks a block, by its top-level names."""


def checker(block: Block) -> Checker | None:
    """Return what checks a block; None if nothing does."""
    return CHECKERS.get(frozenset(yaml.safe_load(block.code)))


# Raised by Dagster's own code for what it adds to every component.
@pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")
@pytest.mark.parametrize("block", [block for block in blocks("yaml") if checker(block)], ids=lambda block: block.place)
def test_the_yaml_is_accepted(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", ALL_SCOPES_KEY)
    check = checker(block)
    assert check is not None
    check(yaml.safe_load(block.code), tmp_path)


def test_all_yaml_can_be_read() -> None:
    found = blocks("yaml")

    assert found
    assert all(yaml.safe_load(block.code) for block in found)
    assert all(one.reason for one in NOT_RUN)
