"""The example projects load, and sync from the sandbox; their own assets read the tables."""

import runpy
import shutil
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets.sandbox.process import SandboxProcess

EXAMPLES = Path(__file__).parents[1] / "examples"

pytestmark = [
    pytest.mark.long,
    pytest.mark.oldest,
    # Raised by Dagster's own code for what it adds to every component.
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning"),
]


@pytest.fixture(autouse=True)
def in_a_folder(account: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database of an example is in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLAVIYO_API_KEY", account.keys.all_scopes)
    monkeypatch.setenv("KLAVIYO_BASE_URL", account.base_url)


def metadata_of(defs: dg.Definitions, table: str, asset: str, count: str) -> int:
    """Sync a table, run the example's asset, and return a number that it reports."""
    dg.Definitions.validate_loadable(defs)
    selection = dg.AssetSelection.assets(["klaviyo", table], [asset])
    job = dg.define_asset_job("the_example", selection, executor_def=dg.in_process_executor)
    result = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("the_example").execute_in_process()
    assert result.success
    (found,) = result.asset_materializations_for_node(asset)
    return int(found.metadata[count].value)  # type: ignore[arg-type]


@pytest.mark.usefixtures("unpaced")
def test_the_dg_project(account: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(EXAMPLES / "dg_project", tmp_path / "project")
    monkeypatch.syspath_prepend(tmp_path / "project" / "src")
    from shop.definitions import defs  # type: ignore[import-not-found]

    loaded = defs()
    owners = {spec.key.to_user_string(): list(spec.owners) for spec in loaded.resolve_all_asset_specs()}
    assert (owners["klaviyo/profiles"], owners["klaviyo/lists"]) == (["team:crm"], [])
    assert metadata_of(loaded, "profiles", "signups_by_month", "profiles") >= account.options.profiles


@pytest.mark.usefixtures("unpaced")
def test_the_code_location(account: SandboxProcess) -> None:
    defs = runpy.run_path(str(EXAMPLES / "code_location" / "definitions.py"))["defs"]

    assert metadata_of(defs, "events", "events_by_metric", "events") >= account.options.events
