"""The models that exist: those of this package, and those of the user's folders."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from klaviyo_assets.catalog import CATALOG, EVENTS, Catalog
from klaviyo_assets.marts.dependencies import Parser, SqlMistake
from klaviyo_assets.marts.front_matter import parse_header
from klaviyo_assets.marts.mart_errors import FolderMissing, InvalidModel, MartError
from klaviyo_assets.marts.model import Model, Scope
from klaviyo_assets.warehouse.default_name import DEFAULT_SCHEMA

PACKAGED = Path(__file__).parent / "sql"
"""Folder of this package's models."""

FIVETRAN = Path(__file__).parent / "fivetran"
"""Folder of the views in the shape of Fivetran's tables, which are built only if they are asked for."""

LIVE_EVENTS, MART_RUN = "live_events", "mart_run"
"""Views that the engine gives to every model; see :mod:`klaviyo_assets.marts.sources`."""

TABLE_OF_VIEW: Mapping[str, str] = {LIVE_EVENTS: EVENTS.name, MART_RUN: CATALOG.account_type.name}
"""The raw table that each of these views reads."""

_MODEL_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Models(Mapping[str, Model]):
    """Models by name, each after those that it reads.

    Args:
        models: The models, in any order.

    Example:
        >>> [*read_models(["marts"]).with_needed(["account_daily"])]
        ['metric_roles', 'fct_orders', 'account_daily']
    """

    def __init__(self, models: Iterable[Model]) -> None:
        by_name = {model.name: model for model in models}
        self._models = {name: by_name[name] for name in _in_order(by_name)}
        for circle in _circles(by_name, self._models):
            for name in circle:
                model = by_name[name]
                problem = InvalidModel(model.path, None, f"{' and '.join(circle)} read each other.", "Remove one of the references.")
                self._models[name] = replace(model, problem=model.problem or problem)

    def __getitem__(self, name: str) -> Model:
        """Return the model with this name."""
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, those that a model reads before it."""
        return iter(self._models)

    def __len__(self) -> int:
        """Return the number of models."""
        return len(self._models)

    def needed_by(self, name: str) -> list[str]:
        """Return the names of the models that a model reads."""
        return sorted(self[name].sources & self.keys())

    def with_needed(self, names: Iterable[str]) -> list[str]:
        """Return models and all that they need, in order.

        Raises:
            MartError: If there is no such model.
        """
        left, found = [*names], set[str]()
        while left:
            name = left.pop()
            if name not in self:
                raise MartError(f"There is no model {name}.", f"Models are: {', '.join(self)}.")
            if name not in found:
                found.add(name)
                left += self.needed_by(name)
        return [name for name in self if name in found]


def read_models(folders: Sequence[str | Path] = (), *, packaged: bool = True, catalog: Catalog = CATALOG, schema: str = DEFAULT_SCHEMA) -> Models:
    """Read the models of this package and of the user's folders.

    A file with the name of another model replaces it; a new name adds a model. A mistake in a file does not fail here: it is the model's ``problem``.

    Args:
        folders: Folders with ``.sql`` files; of two files with the same name, the one in the later folder counts.
        packaged: False to leave out the models of this package.
        catalog: The resource types, whose names a model cannot have.
        schema: Schema of the raw tables.

    Raises:
        FolderMissing: If a folder does not exist.
    """
    paths: dict[str, tuple[Path, bool]] = {}
    for folder in ([PACKAGED] if packaged else []) + [Path(one) for one in folders]:
        if not folder.is_dir():
            raise FolderMissing(f"The folder {folder} of models does not exist.", "Create it, or name another folder.")
        paths |= {path.stem.lower(): (path, folder in (PACKAGED, FIVETRAN)) for path in sorted(folder.glob("*.sql"))}
    with Parser() as parser:
        return Models([_read(parser, path, catalog, schema, is_packaged=ours) for path, ours in paths.values()])


def marts_schema(schema: str) -> str:
    """Return the schema of the models' tables.

    Args:
        schema: Schema of the raw tables.
    """
    return f"{schema}_marts"


def schema_of(schema: str, model: Model) -> str:
    """Return the schema of a model's table or view.

    Args:
        schema: Schema of the raw tables.
        model: The model.

    Example:
        >>> schema_of("klaviyo", read_models([FIVETRAN])["event"])
        'klaviyo_fivetran'
    """
    return marts_schema(schema) if model.header.view is None else f"{schema}_{model.header.view}"


def _read(parser: Parser, path: Path, catalog: Catalog, schema: str, *, is_packaged: bool) -> Model:
    model = Model(path.stem.lower(), path, "", is_packaged=is_packaged)
    try:
        model = replace(model, sql=(text := _text_of(path)))
        _check_name(path, catalog)
        model = replace(model, header=parse_header(path, text))
        sources = _tables_of(parser, path, text, 1, schema)
        model = replace(model, sources=sources - {model.name})
        if model.name in sources:
            raise InvalidModel(path, None, "The model reads itself.", "Give the model or the table another name.")
        _check_scope(model)
        _check_view(model)
        return replace(model, mentioned=_mentioned(parser, model, schema))
    except InvalidModel as problem:
        # What could be read stays, so that its asset is described even now.
        return replace(model, problem=problem)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").rstrip().rstrip(";").rstrip() + "\n"
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidModel(path, None, f"The file cannot be read ({error}).", "Write it as UTF-8, readable for this process.") from error


def _check_name(path: Path, catalog: Catalog) -> None:
    name = path.stem
    if not _MODEL_NAME.fullmatch(name):
        raise InvalidModel(path, None, f"{name!r} cannot be the name of a model.", "Name the file with lower-case letters, digits and underscores.")
    if name in catalog or name in TABLE_OF_VIEW:
        raise InvalidModel(path, None, f"{name} is already the name of a table or view that models read.", "Rename the file.")


def _check_scope(model: Model) -> None:
    if model.header.scope is None:
        return
    table = TABLE_OF_VIEW[LIVE_EVENTS]
    if table in model.sources:
        raise InvalidModel(model.path, None, f"An incremental model reads {LIVE_EVENTS}, which the engine reduces to what has changed, not {table}.")
    if model.header.scope not in model.header.columns:
        raise InvalidModel(model.path, None, f"The model is incremental by {model.header.scope}, but has no such column.", "Select and describe it.")


def _check_view(model: Model) -> None:
    if model.header.view is None:
        return
    if model.header.scope is not None:
        raise InvalidModel(model.path, None, "A view is not incremental: it stores no rows.", "Remove one of the two lines.")
    if of_a_run := sorted(model.sources & TABLE_OF_VIEW.keys()):
        raise InvalidModel(model.path, None, f"A view cannot read {of_a_run[0]}, which belongs to one run.", "Read tables, or remove the line view.")


def _mentioned(parser: Parser, model: Model, schema: str) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for query in (*model.header.metadata, *model.header.checks):
        found |= _tables_of(parser, model.path, as_select(query.sql, model.name), query.line, schema)
    return found


def statements(model: Model) -> Iterator[str]:
    """Yield the statements of a model for which the tables that they read are found: its own, and the queries of its header."""
    yield model.sql
    for query in (*model.header.metadata, *model.header.checks):
        yield as_select(query.sql, model.name)


def as_select(sql: str, model: str) -> str:
    """Return a query of a header as a statement: an expression is one over the model's rows."""
    first = sql.split(maxsplit=1)[0].upper() if sql.split() else ""
    return sql if first in ("SELECT", "WITH", "FROM") else f"SELECT {sql} FROM {model}"


def _tables_of(parser: Parser, path: Path, sql: str, line: int, schema: str) -> frozenset[str]:
    """Return the tables that SQL reads, which begins in a line of a file."""
    try:
        return parser.tables(sql, marts_schema(schema).lower())
    except SqlMistake as error:
        raise InvalidModel(path, line + (error.line or 1) - 1 if error.line or line > 1 else None, error.what) from None


def _in_order(models: Mapping[str, Model]) -> Iterator[str]:
    """Yield the names so that each comes after those that it reads; models in a circle come last."""
    left = sorted(models)
    done: set[str] = set()
    while ready := [name for name in left if models[name].sources & models.keys() <= done]:
        yield from ready
        done.update(ready)
        left = [name for name in left if name not in done]
    yield from left


def _circles(models: Mapping[str, Model], ordered: Iterable[str]) -> list[list[str]]:
    """Return the groups of models that read each other, directly or through others."""
    reached = {name: _reached(models, name) for name in ordered}
    groups = {tuple(sorted(other for other in reached[name] if name in reached[other])) for name in reached if name in reached[name]}
    return [list(group) for group in sorted(groups)]


def _reached(models: Mapping[str, Model], name: str) -> set[str]:
    found: set[str] = set()
    left = [*(models[name].sources & models.keys())]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += models[one].sources & models.keys()
    return found


def scope_of(models: Mapping[str, Model], name: str) -> Scope | None:
    """Return the scope of a model; None if it is rebuilt each time or there is no such model."""
    return models[name].header.scope if name in models else None
