"""A code location with the marts, the copy for readers, and a report that is rendered from it after each publication.

Run it in this folder with ``pip install 'klaviyo-assets[ui]' marimo altair`` and ``dagster dev -f definitions.py``.
"""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg

from klaviyo_assets import KlaviyoResource, build_klaviyo_definitions

HERE = Path(__file__).parent
PUBLISHED = HERE / "data" / "published.duckdb"
REPORT = HERE / "data" / "report.html"


@dg.asset(
    deps=[dg.AssetKey(["klaviyo", "published"])],
    group_name="klaviyo",
    kinds={"marimo"},
    automation_condition=dg.AutomationCondition.eager(),
)
def report() -> dg.MaterializeResult:
    """The notebook report.py as a page, with the figures of the published copy."""
    command = [sys.executable, "-m", "marimo", "export", "html", "--no-include-code", "--force", str(HERE / "report.py"), "--output", str(REPORT)]
    subprocess.run(command, check=True, env={**os.environ, "KLAVIYO_PUBLISH_PATH": str(PUBLISHED)})
    return dg.MaterializeResult(metadata={"page": dg.MetadataValue.path(str(REPORT)), "bytes": REPORT.stat().st_size})


defs = dg.Definitions.merge(
    build_klaviyo_definitions(
        KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_API_KEY")),
        duckdb=HERE / "data" / "warehouse.duckdb",
        marts=True,
        publish=PUBLISHED,
    ),
    dg.Definitions(assets=[report]),
)
