"""A ``dg`` project in a folder, loaded as Dagster loads it."""

import secrets
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster.components.testing import create_defs_folder_sandbox

KEY = "KEY_OF_THE_TESTS"
"""The environment variable with the API key."""

_DEFINITIONS = """\
from pathlib import Path

import dagster as dg


@dg.definitions
def defs():
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


def document(account: str = "klaviyo", **attributes: Any) -> dict[str, Any]:
    """Return a document of a component file."""
    own = {"api_key": f"{{{{ env.{KEY} }}}}", "account": account, "database": "shop.duckdb"}
    return {"type": "klaviyo_assets.KlaviyoComponent", "attributes": own | attributes}


def text(*documents: dict[str, Any]) -> str:
    """Return the text of a component file."""
    return str(yaml.safe_dump_all(documents, sort_keys=False))


def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    """Return the asset specs by key."""
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


@contextmanager
def loaded(defs_yaml: str, module: str = "") -> Iterator[dg.Definitions]:
    """Load the definitions of a project with one component file.

    Args:
        defs_yaml: Text of ``defs.yaml``.
        module: Text of a Python module ``parts`` in the same folder, such as a subclass of the component, which the file calls ``.parts.Name``.
    """
    with create_defs_folder_sandbox() as project:
        folder = project.defs_folder_path / "main"
        folder.mkdir()
        (folder / "defs.yaml").write_text(textwrap.dedent(defs_yaml))
        if module:
            (folder / "__init__.py").write_text("")
            (folder / "parts.py").write_text(textwrap.dedent(module))
        with project.build_all_defs() as defs:
            yield defs


def project(folder: Path, *documents: dict[str, Any]) -> Path:
    """Write a ``dg`` project with one component file, and return the Python file that Dagster loads; the folder must be on Python's path.

    Args:
        folder: Where to write it.
        documents: Of the component file.
    """
    name = f"shop_{secrets.token_hex(4)}"  # Python keeps modules by name
    (folder / name / "defs" / "main").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f'[tool.dg]\ndirectory_type = "project"\n\n[tool.dg.project]\nroot_module = "{name}"\n')
    (folder / name / "defs" / "main" / "defs.yaml").write_text(text(*documents))
    (folder / name / "definitions.py").write_text(_DEFINITIONS)
    return folder / name / "definitions.py"
