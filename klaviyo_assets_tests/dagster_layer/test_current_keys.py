"""Which keys assets have in a run, and which assets the code location has that runs: for this there is no public API of Dagster."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.current_keys import asset_graph, by_current_key, current_key


@pytest.mark.parametrize("through", ["a job", "materialize"])
def test_a_run_knows_the_keys_of_all_assets(through: str) -> None:
    found: dict[str, Any] = {}

    @dg.asset
    def other() -> None:
        """One that the job does not select."""

    @dg.multi_asset(name="several", specs=[dg.AssetSpec("one"), dg.AssetSpec("two", deps=["other"])])
    def several(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        graph = asset_graph(context)
        found["all"] = {key.to_user_string() for key in graph.get_all_asset_keys()}
        found["parents"] = graph.get(raw("two")).parent_keys
        found["keys"] = [current_key(context, "several", "two"), current_key(context, "other"), current_key(context, "missing")]
        found["facts"] = by_current_key(context.assets_def, several, {dg.AssetKey("one"): 1, dg.AssetKey("two"): 2})
        yield from (dg.MaterializeResult(asset_key=key) for key in context.selected_asset_keys)

    names = [dg.AssetKey(name) for name in ("one", "two", "other")]
    assets = [one.with_attributes(asset_key_replacements={key: key.with_prefix("raw") for key in names}) for one in (other, several)]
    if through == "a job":
        job = dg.define_asset_job("a_job", selection=[raw("one"), raw("two")])
        assert dg.Definitions(assets, jobs=[job]).resolve_job_def("a_job").execute_in_process().success
    else:
        assert dg.materialize(assets, selection=[raw("one"), raw("two")]).success

    assert found == {
        "all": {"raw/one", "raw/two", "raw/other"},
        "parents": {raw("other")},
        "keys": [raw("two"), raw("other"), None],
        "facts": {raw("one"): 1, raw("two"): 2},
    }


def raw(name: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", name])
