"""``dg check yaml`` itself on a component file with mistakes: each with its file and line, the field, and what is allowed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from klaviyo_assets import CATALOG
from klaviyo_assets_tests.documentation.blocks import ROOT
from klaviyo_assets_tests.documentation.test_quickstart import DEFINITIONS, PYPROJECT

MISTAKES = """\
type: klaviyo_assets.KlaviyoComponent
attributes:
  api_key: "{{ secrets.key }}"
  databse: data/warehouse.duckdb
  resource_types:
    - lists
    - profile
  timeout: soon
  rate_limit_share: 1.5
  field_rules:
    profiles:
      email: hsh
    segment:
      name: drop
  partitions:
    grian: daily
  schedules:
    sync: at five
    hourly: "0 * * * *"
  retry_policy:
    backoff: cubic
requirements:
  env: [KLAVIYO_API_KEY]
"""

WHERE_AND_WHAT = {
    3: ("attributes.api_key", "'{{ secrets.key }}' does not match"),
    2: ("attributes", "'databse' is not one of ['api_key', 'account', 'database', 'resource_types', "),
    4: ("attributes.databse", "'databse' was unexpected"),
    7: ("attributes.resource_types.1", "'profile' is not one of ['accounts', 'campaigns', "),
    8: ("attributes.timeout", "'soon' is not of type 'number'"),
    9: ("attributes.rate_limit_share", "1.5 is greater than the maximum of 1"),
    12: ("attributes.field_rules.profiles.email", "'hsh' is not one of ['drop', 'hash']"),
    10: ("attributes.field_rules", "'segment' is not one of ['accounts', "),
    16: ("attributes.partitions.grian", "'grian' was unexpected"),
    15: ("attributes.partitions", "'grian' is not one of ['grain', 'timezone', 'start']"),
    18: ("attributes.schedules.sync", "'at five' does not match"),
    19: ("attributes.schedules.hourly", "'hourly' was unexpected"),
    17: ("attributes.schedules", "'hourly' is not one of ['sync', 'checks', 'frequent', 'full', "),
    21: ("attributes.retry_policy.backoff", "'cubic' is not one of ['linear', 'exponential']"),
}
"""By the line of the file."""


@pytest.mark.long
def test_dg_check_yaml_names_the_line_the_field_and_what_is_allowed(tmp_path: Path) -> None:
    package = tmp_path / "src" / "shop"
    for name, text in {"eu": MISTAKES, "us": MISTAKES.split("  databse")[0].replace("secrets.key", "env.KLAVIYO_API_KEY")}.items():
        (package / "defs" / name).mkdir(parents=True)
        (package / "defs" / name / "defs.yaml").write_text(text)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (package / "__init__.py").touch()
    (package / "definitions.py").write_text(DEFINITIONS)
    command = [Path(sys.executable).with_name("dg"), "check", "yaml", "src/shop/defs/eu"]  # without a folder, Dagster checks one file of each type
    environment = {**os.environ, "PYTHONPATH": f"{package.parent}{os.pathsep}{ROOT}", "DO_NOT_TRACK": "1"}

    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1, done.stdout + done.stderr
    pattern = rf"^{re.escape(str(package / 'defs' / 'eu' / 'defs.yaml'))}:(\d+) - klaviyo_assets\.KlaviyoComponent (\S+) (.*)$"
    found = {int(line): (field, words) for line, field, words in re.findall(pattern, done.stdout, re.MULTILINE)}
    assert found.keys() == WHERE_AND_WHAT.keys(), done.stdout
    for line, (field, words) in WHERE_AND_WHAT.items():
        assert found[line][0] == field
        assert words in found[line][1]
    assert all(f"'{name}'" in found[7][1] for name in CATALOG)
