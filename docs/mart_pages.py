"""Generate the pages about the marts from the headers of the models."""

import json

from markdown_text import in_words, table

from klaviyo_assets.marts.dependencies import Parser, statement_fingerprint
from klaviyo_assets.marts.library import FIVETRAN, read_models, statements
from klaviyo_assets.marts.model import Model

_MODELS = read_models()


def models() -> str:
    """Return the table of models."""
    return table(
        ("model", "one row", "read from"), ((f"[`{name}`](models.md#{name})", _row(model), _sources(model)) for name, model in _MODELS.items())
    )


def columns() -> str:
    """Return the page that lists the columns of all models."""
    head = "# Columns of the marts\n\nGenerated from the SQL models (`make docs`). [Marts](marts.md) explains how they are built.\n"
    return head + "".join(_columns_of(name, _MODELS[name]) for name in sorted(_MODELS))


def parsed() -> str:
    """Return the file of the tables that the statements of the models read, one line a statement."""
    own = {sql for model in read_models([FIVETRAN]).values() for sql in statements(model)}
    with Parser() as parser:
        found = {statement_fingerprint(sql): parser.parse(sql) for sql in own}
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(found[key])}" for key in sorted(found)) + "\n}\n"


def _columns_of(name: str, model: Model) -> str:
    key = in_words([f"`{column}`" for column in model.header.key])
    how = f"Incremental by `{model.header.scope}`." if model.header.scope else "Built completely each time."
    rows = ((f"`{column}`", text) for column, text in model.header.columns.items())
    numbers = [f"`{query.name}`" for query in model.header.metadata]
    plots = f" Numbers that Dagster plots: {in_words(numbers)}." if numbers else ""
    return f"\n## {name}\n\n{model.header.description} Key: {key}. {how}{plots}\n\n{table(('column', 'meaning'), rows)}"


def _row(model: Model) -> str:
    return model.header.description.split(". ")[0].removesuffix(".").removeprefix("One row ")


def _sources(model: Model) -> str:
    return ", ".join(f"`{name}`" for name in sorted(model.sources))
