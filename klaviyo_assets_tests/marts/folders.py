"""Writes models into a folder."""

from pathlib import Path

from klaviyo_assets.marts.library import Models, read_models


def write_model(folder: Path, name: str, sql: str, *, key: str = "id", header: str = "") -> Path:
    """Write a model whose columns are not described, apart from the lines in ``header``."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.sql"
    path.write_text(f"-- description: The model {name}.\n-- key: {key}\n{header}\n{sql}\n")
    return path


def own_models(folder: Path) -> Models:
    """Return the models of a folder alone."""
    return read_models([folder], packaged=False)
