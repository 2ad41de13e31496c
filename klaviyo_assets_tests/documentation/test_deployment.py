"""The files of docs/deployment.md: the commands of the containers start, and the paths agree. Docker itself is not run."""

import os
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY
from klaviyo_assets_tests.documentation.blocks import ROOT, blocks_of
from klaviyo_assets_tests.documentation.test_commands import serves

BLOCKS = {block.language: block.code for block in reversed(blocks_of(ROOT / "docs" / "deployment.md"))}
SERVICES = yaml.safe_load(BLOCKS["yaml"])["services"]
SAYS = {"web": "Serving dagster-webserver", "daemon": "Instance is configured with the following daemons"}


def test_the_database_and_dagsters_home_are_on_the_volume() -> None:
    paths = dict(re.findall(r"(\w+)=(/\S+)", BLOCKS["dockerfile"]))
    mounts = {name: [volume.split(":")[1] for volume in service["volumes"]] for name, service in SERVICES.items()}

    assert set(paths) == {"DAGSTER_HOME", "KLAVIYO_DUCKDB_PATH"}
    assert all(Path(path).is_relative_to("/data") for path in paths.values())
    assert mounts == {"web": ["/data"], "daemon": ["/data"]}
    assert "VOLUME /data" in BLOCKS["dockerfile"]


@pytest.mark.slow
@pytest.mark.parametrize("service", SERVICES)
def test_the_command_of_a_container_starts(service: str, tmp_path: Path) -> None:
    (home := tmp_path / "home").mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    command = SERVICES[service]["command"].replace("--port 3000", "--port 0")
    folder = Path(sys.executable).parent

    serves(SAYS[service])(
        shlex.join([str(folder / (words := shlex.split(command))[0]), *words[1:]]),
        tmp_path,
        {**os.environ, "DAGSTER_HOME": str(home), "PYTHONPATH": str(ROOT), "KLAVIYO_API_KEY": ALL_SCOPES_KEY},
    )
