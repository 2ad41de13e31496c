"""Every option of the package, once: name, type, default, bounds, description and environment variable.

:class:`Settings` is the model. ``KlaviyoResource`` takes the defaults, bounds and descriptions of its fields from it. The shipped code location and
the command line read it from the environment (:func:`from_environment`). ``.env.example`` and ``docs/options.md`` are generated from it.

Each option has an environment variable ``KLAVIYO_<NAME>``. Unless it says otherwise, it is also a field of ``KlaviyoResource``.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Final

from klaviyo_assets._internal.option import VARIABLE_PREFIX, Names, Number, Option, Switch, Text, whole_number
from klaviyo_assets.api.client_settings import DEFAULT_BASE_URL, MIN_MAX_RESPONSE_BYTES, ClientSettings
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.settings.setting_checks import (
    check_account_id,
    check_base_url,
    check_grain,
    check_memory_limit,
    check_metric_ids,
    check_metrics,
    check_path,
    check_plain_http,
    check_revision,
    check_start_date,
    check_timezone,
)
from klaviyo_assets.settings.setting_kinds import FieldRulesJson, ResourceTypes
from klaviyo_assets.warehouse.default_name import DEFAULT_PATH, default_path
from klaviyo_assets.warehouse.memory_limit import DEFAULT_MEMORY_LIMIT, MAX_THREADS, MEMORY_LIMIT_WORDS, PATIENCE

MAX_CONCURRENCY, MAX_RETRIES = 256, 20

_BYTE_ORDER_MARK = "\ufeff"
_OPTION = "option"


class InvalidSetting(KlaviyoAssetsError, ValueError):
    """An environment variable has an unusable value; the text names the variable, its value and a valid one."""

    longest: ClassVar[int] = 2_000
    """It may list all resource types."""


def _option(default: Any, description: str, **arguments: Any) -> Any:
    """Declare an option; ``arguments`` are those of :class:`Option`."""
    option = Option(description, **arguments)
    if isinstance(default, dict | list):
        return field(default_factory=default.copy, metadata={_OPTION: option})
    return field(default=default, metadata={_OPTION: option})


@dataclass(frozen=True)
class Settings:
    """The options, except the two secrets (:data:`OPTIONS` has them all), which are read when they are used."""

    duckdb_path: str = _option(
        DEFAULT_PATH,
        "Path of the DuckDB file",
        kind=Text(check_path),
        notes="In code: `duckdb=` of `build_klaviyo_definitions`. The file [must not have the name of its schema]"
        "(troubleshooting.md#ambiguous-reference-to-catalog-or-schema)",
        on_resource=False,
    )
    publish_path: str | None = _option(
        None,
        "Path of a DuckDB file that readers can have open while syncs run: a copy of the database, written by the asset published",
        example="data/published.duckdb",
        kind=Text(check_path),
        default_words="no copy",
        notes="In code: `publish=` of `build_klaviyo_definitions`. [More](published-copy.md)",
        on_resource=False,
    )
    publish_parquet: str | None = _option(
        None,
        "Folder for Parquet files of the published copy, one per table and one per month of events; needs publish_path",
        example="data/published",
        kind=Text(),
        default_words="no Parquet files",
        notes="In code: `publish=PublishTarget.at(file, parquet)`. [More](published-copy.md)",
        on_resource=False,
    )
    rate_limit_share: float = _option(
        ClientSettings.rate_limit_share,
        "Share of each endpoint's rate limit to use, above 0 up to 1. The limit is the account's: the rest is left to its other integrations",
        kind=Number("a number above 0 up to 1, such as 0.5", gt=0, le=1),
    )
    start_date: str | None = _option(
        None,
        "Events before this date are not read. Other resource types always have their whole history",
        example="2024-01-01",
        kind=Text(check_start_date),
        default_words="the whole history",
    )
    resource_types: list[str] = _option(  # noqa: RUF009 (each instance gets its own list)
        [],
        "Resource types that are synced: names of types and groups (core, messages, audiences, catalog, reports), default, all. "
        "A type that another one needs, such as its parent, is added",
        example="default,list_members",
        kind=ResourceTypes(),
        default_words="`default`",
        notes="In code: `resource_types=[…]` of `build_klaviyo_definitions`. [The types](tables.md#which-tables-are-synced)",
        on_resource=False,
    )
    marts: list[str] = _option(  # noqa: RUF009 (each instance gets its own list)
        [],
        "Marts that are built from the tables: true for those of this package, or folders with SQL models that replace some of them or add others; "
        "fivetran adds views in the shape of Fivetran's tables",
        example="true",
        kind=Names(),
        default_words="none",
        notes="In code: `marts=` of `build_klaviyo_definitions`. [The marts](marts.md), [views for dbt](dbt.md)",
        on_resource=False,
    )
    partitions: str | None = _option(
        None,
        "Days or months of events as partitions in Dagster: daily or monthly",
        example="daily",
        kind=Text(check_grain),
        default_words="no partitions",
        notes="In code: `partitions=` of `build_klaviyo_definitions`. [More](partitions.md)",
        on_resource=False,
    )
    partitions_timezone: str = _option(
        "UTC",
        "Time zone in which the days of partitions begin, such as that of the account",
        example="Europe/Berlin",
        kind=Text(check_timezone),
        notes='In code: `partitions=EventPartitions("daily", "Europe/Berlin")`. [More](partitions.md)',
        on_resource=False,
    )
    event_metrics: list[str] = _option(  # noqa: RUF009 (each instance gets its own list)
        [],
        "Names or ids of the only metrics of which events are read",
        example="Placed Order,Ordered Product",
        kind=Names(),
        default_words="all metrics",
        notes="[More](how-syncs-work.md#events-of-some-metrics)",
    )
    exclude_event_metrics: list[str] = _option(  # noqa: RUF009 (each instance gets its own list)
        [],
        "Names or ids of metrics of which events are not read; not together with event_metrics",
        example="Active on Site",
        kind=Names(),
        default_words="none",
        notes="[More](how-syncs-work.md#events-of-some-metrics)",
    )
    account_id: str | None = _option(
        None,
        "Id of the account (six characters). Needed only for a key without accounts:read, the first time that it is used with a database",
        example="AbC123",
        kind=Text(check_account_id),
        default_words="requested from Klaviyo",
    )
    accept_other_account: bool = _option(
        False,
        "Let a schema that holds one account's data be filled from the account of this key, instead of refusing the key",
        example="true",
        kind=Switch(),
        notes="[More](failures.md#the-account)",
    )
    member_groups: list[str] = _option(  # noqa: RUF009 (each instance gets its own list)
        [],
        "Lists and segments whose members are read, by id or name, if list_members or segment_members are selected",
        example="VIP customers,Y6nRLr",
        kind=Names(),
        default_words="all",
        notes="[More](how-syncs-work.md#members-of-lists-and-segments)",
    )
    field_rules: dict[str, dict[str, str]] = _option(  # noqa: RUF009 (each instance gets its own dict)
        {},
        "Fields that are dropped or hashed before anything is stored, by resource type. Hashes need a secret in KLAVIYO_FIELD_SALT",
        example='{"profiles": {"email": "hash", "phone_number": "hash", "first_name": "drop"}}',
        kind=FieldRulesJson(),
        default_words="none",
        notes="In the environment: a JSON object. [More](privacy.md#field-rules)",
    )
    conversion_metric_ids: str | None = _option(
        None,
        "Ids of the metrics by which campaign and flow reports count conversions, separated by commas. Each has its own rows",
        example="RESQ6t, Xy12Ab",
        kind=Text(check_metric_ids),
        default_words="the metric that the account has mapped as its revenue",
    )
    accept_changed_options: bool = _option(
        False,
        "Keep what was read with other options or columns as it is, instead of reading it again",
        example="true",
        kind=Switch(),
        notes="[More](how-syncs-work.md#coverage)",
    )
    duckdb_patience: float = _option(
        PATIENCE,
        "Seconds to wait for another program that has the DuckDB file open, before a sync fails",
        kind=Number("a number of seconds, such as 60", ge=0),
    )
    duckdb_memory_limit: str | None = _option(
        None,
        f"Memory that DuckDB may use in each process of a sync: {MEMORY_LIMIT_WORDS}. "
        "memory_limit in the connection_config of a DuckDBResource takes precedence",
        example=DEFAULT_MEMORY_LIMIT,
        kind=Text(check_memory_limit),
        default_words=f"`{DEFAULT_MEMORY_LIMIT}`",
    )
    duckdb_threads: int | None = _option(
        None,
        "Threads that DuckDB may use in each process of a sync. threads in the connection_config of a DuckDBResource takes precedence",
        example="2",
        kind=whole_number(1, MAX_THREADS),
        default_words="`2`, or `1` where all rows are new",
    )
    concurrency: int = _option(
        ClientSettings.concurrency,
        f"Most requests in flight for one resource type, 1 to {MAX_CONCURRENCY}. The actual number follows from the rate limit and the latency",
        kind=whole_number(1, MAX_CONCURRENCY),
    )
    timeout: float = _option(
        ClientSettings.timeout,
        "Seconds without a byte after which a request is sent again",
        kind=Number("a number of seconds above 0, such as 60", gt=0),
    )
    max_retries: int = _option(
        ClientSettings.max_retries,
        f"Times that a request is sent again after a transient fault, 0 to {MAX_RETRIES}",
        kind=whole_number(0, MAX_RETRIES),
    )
    max_response_bytes: int = _option(
        ClientSettings.max_response_bytes,
        "Most bytes of one response, as received and decompressed. A larger page is requested again with fewer records",
        kind=Number(
            f"a whole number of bytes, {MIN_MAX_RESPONSE_BYTES} or more, such as {ClientSettings.max_response_bytes}",
            ge=MIN_MAX_RESPONSE_BYTES,
            whole=True,
        ),
        notes="[More](failures.md#the-network)",
    )
    revision: str = _option(
        ClientSettings.revision,
        "Revision of Klaviyo's API that requests pin. Only the default is tested",
        kind=Text(check_revision),
    )
    base_url: str = _option(
        DEFAULT_BASE_URL,
        "Scheme, host and port of the API; another one for the sandbox",
        kind=Text(check_base_url, lambda text: text.rstrip("/")),
        notes="[The sandbox](sandbox.md)",
    )
    allow_http: bool = _option(
        False,
        "Accept a base URL with plain http to another machine, which sends the API key unencrypted",
        example="true",
        kind=Switch(),
    )


API_KEY_OPTION = Option(
    "Private API key (pk_…) of the account",
    name="api_key",
    notes='In code: `dg.EnvVar("KLAVIYO_API_KEY")`; a string is [stored by Dagster](../SECURITY.md#what-is-not). '
    "[How to make one](klaviyo-account.md#make-a-private-api-key)",
)
FIELD_SALT_OPTION = Option(
    "Secret that the hashes of field rules are made with",
    name="field_salt",
    notes="Always read from the environment. [More](privacy.md#field-rules)",
    on_resource=False,
)


def _all_options() -> dict[str, Option]:
    defaults = Settings()
    declared = [replace(one.metadata[_OPTION], name=one.name, default=getattr(defaults, one.name)) for one in fields(Settings)]
    options = {option.name: option for option in (API_KEY_OPTION, *declared)}
    return options | {FIELD_SALT_OPTION.name: FIELD_SALT_OPTION}


OPTIONS: Final[Mapping[str, Option]] = _all_options()
"""All options by name, the two secrets included."""

RESOURCE_OPTIONS: Final = tuple(option for option in OPTIONS.values() if option.on_resource)
"""The options that are fields of ``KlaviyoResource``."""


def options_for(catalog: Catalog) -> Mapping[str, Option]:
    """Return all options by name, with field rules that may name the types of a catalog as well as those of this package."""
    known = CATALOG.updated(catalog)
    rules = replace(OPTIONS["field_rules"], kind=FieldRulesJson(known))
    types = replace(OPTIONS["resource_types"], kind=ResourceTypes(catalog=known))
    return {**OPTIONS, rules.name: rules, types.name: types}


API_KEY = API_KEY_OPTION.variable
BASE_URL = OPTIONS["base_url"].variable
DUCKDB_PATH = OPTIONS["duckdb_path"].variable
EXCLUDED = OPTIONS["exclude_event_metrics"].variable


def from_environment(*, database: str | None = None, catalog: Catalog = CATALOG) -> Settings:
    """Read the settings from the environment (Dagster loads a ``.env`` file of the working folder into it).

    Args:
        database: Path of the DuckDB file if the user gave one; it replaces ``KLAVIYO_DUCKDB_PATH``.
        catalog: Resource types that field rules may name, besides those of this package.

    Raises:
        InvalidSetting: Names the variable, its value and a valid one.
    """
    _refuse_byte_order_mark()
    environment = {name: text for name, text in os.environ.items() if name.startswith(VARIABLE_PREFIX) and not (database and name == DUCKDB_PATH)}
    try:
        options = options_for(catalog)
        values = {one.name: options[one.name].read(environment) for one in fields(Settings)}
        check_metrics(values["event_metrics"], values["exclude_event_metrics"], OPTIONS["event_metrics"].variable, EXCLUDED)
        check_publish(values["publish_path"], values["publish_parquet"])
        check_plain_http(values["base_url"], BASE_URL, allow_http=values["allow_http"], switch=f"{OPTIONS['allow_http'].variable}=true")
    except ValueError as error:
        raise InvalidSetting(str(error)) from None
    if not environment.get(DUCKDB_PATH, "").strip():
        values["duckdb_path"] = database or default_path()
    return Settings(**values)


def selected_marts(names: Sequence[str]) -> bool | list[str]:
    """Return the option ``marts`` as ``build_klaviyo_definitions`` takes it.

    Example:
        >>> selected_marts(["true"]), selected_marts(["marts"]), selected_marts([])
        (True, ['marts'], False)
    """
    folders = [name for name in names if name.lower() not in ("true", "false")]
    return folders or any(name.lower() == "true" for name in names)


def check_publish(path: str | None, parquet: str | None) -> None:
    """Refuse a folder of Parquet files without a file: they are written from it.

    Raises:
        ValueError: If there is one.
    """
    if parquet and not path:
        raise ValueError(f"{OPTIONS['publish_parquet'].variable} needs {OPTIONS['publish_path'].variable}: set both, such as data/published.duckdb.")


def client_settings(options: object, *, shared_limits: Path | None = None, **others: Any) -> ClientSettings:
    """Return the settings of a client.

    Args:
        options: A :class:`Settings` or a ``KlaviyoResource``, with the options as attributes.
        shared_limits: Folder through which processes share the slowest limits.
        others: Fields of :class:`ClientSettings` that differ.
    """
    values = {one.name: getattr(options, one.name) for one in fields(ClientSettings) if one.name in OPTIONS}
    return ClientSettings(**values | others, shared_limits=shared_limits)


def _refuse_byte_order_mark() -> None:
    """Refuse a ``.env`` file that begins with a byte order mark, which becomes part of the name of its first variable."""
    name = next((name for name in os.environ if name.startswith(_BYTE_ORDER_MARK)), None)
    if name is not None:
        raise InvalidSetting(
            f"The .env file begins with a byte order mark, so its first variable, {name.removeprefix(_BYTE_ORDER_MARK)}, is not found. "
            "Save it as UTF-8 without a byte order mark (BOM)."
        )
