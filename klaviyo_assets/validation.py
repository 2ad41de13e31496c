"""Checks of arguments when code is loaded, so a wrong one fails there and not in every run."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import TYPE_CHECKING, ClassVar

import dagster as dg

from klaviyo_assets._internal.identifiers import is_identifier
from klaviyo_assets.catalog import CATALOG, CatalogError, UnknownResourceType, is_built_in
from klaviyo_assets.catalog.role_checks import role_of_another
from klaviyo_assets.catalog.selection import select
from klaviyo_assets.errors import KlaviyoAssetsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from klaviyo_assets.catalog import Catalog
    from klaviyo_assets.catalog.resource_type import ResourceType

_RESERVED_SCHEMAS = {"information_schema", "pg_catalog", "system", "temp"}
"""Schemas, and databases with whose names a schema would be confused, that every DuckDB connection has."""


class InvalidDefinition(KlaviyoAssetsError, ValueError):
    """Code passes an unusable value to this package; the text names the parameter or field, its value and a valid one."""

    longest: ClassVar[int] = 2_000
    """It may list all resource types."""


def check_name(name: str) -> None:
    """Check an account's name, which becomes that of ops, jobs, resources and the schema.

    Raises:
        InvalidDefinition: If it cannot be one.
    """
    if not isinstance(name, str) or not is_identifier(name):
        raise InvalidDefinition(f"name={name!r} cannot be a prefix. Use letters, digits and underscores, beginning with a letter.")


def check_schema(schema: str) -> None:
    """Check the DuckDB schema of the tables.

    Raises:
        InvalidDefinition: If DuckDB reserves the name, or it cannot be one.
    """
    if not isinstance(schema, str) or not is_identifier(schema):
        raise InvalidDefinition(f"schema={schema!r} cannot be the name of a schema. Use letters, digits and underscores, beginning with a letter.")
    if schema.lower() in _RESERVED_SCHEMAS:
        raise InvalidDefinition(
            f"The schema cannot be called {schema!r}: DuckDB uses that name itself. Give the translator or the account another one."
        )


def check_execute(execute: object) -> None:
    """Check the user's code around a sync: a function, not an asynchronous one, that can be called with Dagster's context and the sync.

    Raises:
        InvalidDefinition: If it is something else.
    """
    advice = "Give a function execute(context, sync) that yields what sync.run() yields, or leave it out."
    if not callable(execute):
        raise InvalidDefinition(f"execute={execute!r} cannot be called. {advice}")
    name = getattr(execute, "__qualname__", type(execute).__qualname__)
    if inspect.iscoroutinefunction(execute) or inspect.isasyncgenfunction(execute):
        raise InvalidDefinition(f"execute={name} is asynchronous, and Dagster runs it as a plain function. {advice}")
    try:
        inspect.signature(execute).bind(None, None)
    except TypeError as error:
        raise InvalidDefinition(f"execute={name} cannot be called with a context and a sync: {error}. {advice}") from None
    except ValueError:  # a callable of another language, which does not name its parameters
        return


def selected_types(resource_types: Iterable[str] | None, catalog: Catalog) -> Catalog:
    """Return the resource types that a user selects.

    Args:
        resource_types: Names of types and groups; None for all types that are not opt-in.
        catalog: The resource types that exist.

    Raises:
        InvalidDefinition: If there are none, one is unknown or listed twice, or they are given as one string.
    """
    if resource_types is None:
        return catalog.select(catalog.default_names)
    known = f"Known are: {', '.join((*catalog, *catalog.groups))}."
    if isinstance(resource_types, str):
        raise InvalidDefinition(f"resource_types is a string: {resource_types!r}. Give a list, such as [{resource_types!r}]. {known}")
    names = list(resource_types)
    if not names:
        raise InvalidDefinition(f"resource_types is empty. Leave it out for the default ones. {known}")
    if twice := [one for one, times in Counter(names).items() if times > 1]:
        raise InvalidDefinition(f"Resource types that are named twice: {', '.join(twice)}. List each once.")
    try:
        return select(catalog, names)
    except UnknownResourceType as error:
        raise InvalidDefinition(error.summary) from None


def check_outside_types(entries: Iterable[ResourceType]) -> None:
    """Check that each resource type from outside this package has a strategy, and no role of another type. Tests check those of this package.

    Raises:
        InvalidDefinition: If one lacks a strategy, or has a role of another type.
    """
    own = [entry for entry in entries if not is_built_in(entry)]
    if not own:
        return
    # Imported only when there is something to check: code should load fast.
    from klaviyo_assets.extract.strategies import strategy_for

    for entry in own:
        try:
            strategy_for(entry)
        except CatalogError as error:
            raise InvalidDefinition(str(error)) from None
        if found := role_of_another(entry, CATALOG):
            role, name = found
            raise InvalidDefinition(f"The resource type {entry.name} cannot have {role}=True: only {name} can. Leave it out.")


def check_op_names(taken: Iterable[str], ops: Mapping[str, ResourceType]) -> None:
    """Check that no op of a resource type has the name of a job or of another op, which Dagster does not allow.

    Args:
        taken: Names of the jobs, or of other ops.
        ops: Resource types by the name of the op that syncs them; of several types in one op, any.

    Raises:
        InvalidDefinition: If there is one.
    """
    for name in taken:
        if (entry := ops.get(name)) is not None:
            raise InvalidDefinition(
                f"The resource type {entry.name} cannot have this name: its op would be {name}, and that name is taken. Rename it."
            )


def check_keys(specs: Iterable[tuple[str, dg.AssetSpec]]) -> None:
    """Check that a translator gives each resource type a key of its own.

    Args:
        specs: Names of resource types, with the specs of their assets.

    Raises:
        InvalidDefinition: If two have the same key.
    """
    by_key: dict[dg.AssetKey, str] = {}
    for name, spec in specs:
        if other := by_key.get(spec.key):
            raise InvalidDefinition(
                f"The translator gives {other} and {name} the same asset key: {spec.key.to_user_string()}. Include the type's name in the key."
            )
        by_key[spec.key] = name
