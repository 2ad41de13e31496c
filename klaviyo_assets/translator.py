"""Creates the asset spec of a resource type: the one hook that users override."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Self

import dagster as dg

from klaviyo_assets.catalog.columns import ADDED_COLUMNS
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.validation import InvalidDefinition
from klaviyo_assets.warehouse.default_name import DEFAULT_SCHEMA
from klaviyo_assets.warehouse.sql import pasted


class _DefaultText(str):
    """A default; its type distinguishes it from the same text given by the user."""

    __slots__ = ()


class _DefaultPrefix(tuple[str, ...]):
    """A default; its type distinguishes it from the same prefix given by the user."""

    __slots__ = ()


@dataclass(frozen=True)
class KlaviyoTranslator:
    """Creates the :class:`dagster.AssetSpec` of a resource type.

    Subclass it and override :meth:`get_asset_spec` to change keys, groups, descriptions or anything else. Arguments that are not given follow the
    ``name`` of :func:`~klaviyo_assets.build_klaviyo_definitions`.

    Args:
        key_prefix: Prefix of the asset keys: its parts, or one part as a string, as Dagster's own ``key_prefix``.
        group_name: Asset group.
        schema: DuckDB schema of the tables.
        owners: E-mail addresses or ``team:name``.
        tags: Tags of all assets.
        io_manager_key: IO manager that loads the tables for downstream assets.
        storage_kind: Where the tables are, for the icon in the UI: ``duckdb``, or what you call another kind of warehouse; None to leave it out.
        catalog: What DuckDB calls the database, for ``dagster/table_name``; None to leave it out.

    Example:
        >>> class Shouting(KlaviyoTranslator):
        ...     def get_asset_spec(self, entry):
        ...         return super().get_asset_spec(entry).replace_attributes(group_name=entry.name.upper())
    """

    key_prefix: Sequence[str] = _DefaultPrefix(("klaviyo",))
    group_name: str = _DefaultText("klaviyo")
    schema: str = _DefaultText(DEFAULT_SCHEMA)
    owners: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    io_manager_key: str = _DefaultText("klaviyo_frames")
    catalog: str | None = None
    storage_kind: str | None = _DefaultText("duckdb")

    def __post_init__(self) -> None:
        for one in fields(KlaviyoTranslator):
            if _is_not_given(getattr(self, one.name), one):
                # A subclass may set it in its body, which is no default of the constructor.
                object.__setattr__(self, one.name, getattr(type(self), one.name, getattr(self, one.name)))
        object.__setattr__(self, "key_prefix", _parts(self.key_prefix))

    def following(self, name: str, io_manager_key: str, catalog: str | None, storage_kind: str | None = "duckdb") -> Self:
        """Return a copy in which the fields that the user has not given follow an account's name.

        Args:
            name: The account's name.
            io_manager_key: Key of its IO manager.
            catalog: What DuckDB calls the database, if that is known.
            storage_kind: Kind of the warehouse, if that is known.
        """
        account_values: dict[str, Any] = {
            "key_prefix": [name],
            "group_name": name,
            "schema": name,
            "io_manager_key": io_manager_key,
            "catalog": catalog,
            "storage_kind": storage_kind,
        }
        found = copy.copy(self)
        for attribute, value in account_values.items():
            if _is_default(getattr(self, attribute)):
                object.__setattr__(found, attribute, value)
        object.__setattr__(found, "key_prefix", _parts(found.key_prefix))
        return found

    def get_asset_spec(self, entry: ResourceType) -> dg.AssetSpec:
        """Return the spec of a resource type's asset."""
        spec = dg.AssetSpec(
            key=dg.AssetKey([*_parts(self.key_prefix), entry.name]),
            description=_description(entry),
            group_name=str(self.group_name),
            owners=list(self.owners),
            tags=dict(self.tags),
            kinds={"klaviyo", *([str(self.storage_kind)] if self.storage_kind else [])},
            # An asset whose optional scope is missing is skipped, and so is a scheduled sync that finds another one running.
            skippable=True,
            metadata={
                "dagster/table_name": pasted(*([self.catalog] if self.catalog else []), self.schema, entry.name),
                **({"dagster/storage_kind": str(self.storage_kind)} if self.storage_kind else {}),
                "dagster/column_schema": column_schema(entry),
                "klaviyo/endpoint": entry.endpoint.path,
                "klaviyo/scope": entry.scope_text,
            },
        )
        return spec.with_io_manager_key(str(self.io_manager_key))


def checked_translator(translator: object) -> KlaviyoTranslator:
    """Return a translator that a user passes.

    Raises:
        InvalidDefinition: If it is none, such as a class in place of an instance.
    """
    if isinstance(translator, KlaviyoTranslator):
        return translator
    if isinstance(translator, type):
        raise InvalidDefinition(f"translator= takes an instance, not the class {translator.__name__}. Write translator={translator.__name__}().")
    raise InvalidDefinition(f"translator= takes a KlaviyoTranslator, not {type(translator).__name__}. Pass KlaviyoTranslator(…) or leave it out.")


def _parts(prefix: Sequence[str]) -> Sequence[str]:
    """Return the parts of a key prefix: a string is one part, not one for each letter."""
    return (prefix,) if isinstance(prefix, str) else prefix


def _is_not_given(value: object, field_: Field[Any]) -> bool:
    return value is field_.default or (field_.default is MISSING and not value)


def _description(entry: ResourceType) -> str:
    link = f" [Klaviyo's documentation]({entry.docs_url})" if entry.docs_url else ""
    return f"{entry.description}\n\nScope: `{entry.scope_text}`.{link}"


def _is_default(value: object) -> bool:
    return value is None or isinstance(value, _DefaultText | _DefaultPrefix)


def column_schema(entry: ResourceType) -> dg.TableSchema:
    """Return the columns of a resource type's table for Dagster's UI.

    A column is not nullable if Klaviyo promises a value for it.
    """
    columns = [
        dg.TableColumn(
            column.name,
            str(column.type),
            column.description,
            constraints=dg.TableColumnConstraints(
                nullable=not (column.required or column.name in entry.primary_key), unique=(column.name,) == entry.primary_key
            ),
            tags={"personal": ""} if column.personal else {},
        )
        for column in (*entry.columns, *ADDED_COLUMNS)
    ]
    key = ", ".join(entry.primary_key)
    together = dg.TableConstraints(other=[f"({key}) is unique"]) if len(entry.primary_key) > 1 else None
    return dg.TableSchema(columns, constraints=together)
