"""``dg scaffold defs klaviyo_assets.KlaviyoComponent``: writes a component that works once its environment variable is set."""

from typing import Any

import dagster as dg
from pydantic import BaseModel, Field, field_validator

from klaviyo_assets._internal import identifiers
from klaviyo_assets.settings.options import API_KEY
from klaviyo_assets.validation import check_name
from klaviyo_assets.warehouse.default_name import DEFAULT_PATH

_PYTHON = """\
import dagster as dg
from {module} import {name}


@dg.component_instance
def load(context: dg.ComponentLoadContext) -> {name}:
    return {name}(api_key=dg.EnvVar({variable!r}), account={account!r}, database={database!r})
"""


class ScaffoldParams(BaseModel):
    """Options of ``dg scaffold``."""

    account: str = Field(default="klaviyo", description="Name of the account: prefix of its assets, jobs and resources, and schema of its tables.")
    variable: str = Field(default=API_KEY, description="Environment variable with the private API key.", pattern=f"^{identifiers.PATTERN}$")
    database: str = Field(default=DEFAULT_PATH, description="Path of the DuckDB file.")

    @field_validator("account")
    @classmethod
    def _is_a_name(cls, account: str) -> str:
        check_name(account)
        return account


class KlaviyoScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes ``defs.yaml``, or ``component.py`` with ``--format python``."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """Return the options."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write the file."""
        params = request.params
        if request.scaffold_format == "python":
            module, _, name = request.type_name.rpartition(".")
            text = _PYTHON.format(module=module, name=name, variable=params.variable, account=params.account, database=params.database)
            (request.target_path / "component.py").write_text(text, encoding="utf-8")
            return
        attributes: dict[str, Any] = {"api_key": f"{{{{ env.{params.variable} }}}}", "account": params.account, "database": params.database}
        dg.scaffold_component(request, attributes)
        file = request.target_path if request.append else request.target_path / "defs.yaml"
        with file.open("a", encoding="utf-8") as defs:
            # Lets dg check yaml --validate-requirements, and dg list env, know the variable.
            defs.write(f"\nrequirements:\n  env:\n    - {params.variable}\n")
