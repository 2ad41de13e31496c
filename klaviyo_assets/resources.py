"""The Dagster resource that wraps the Klaviyo client."""

import logging
import warnings
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self
from urllib.parse import urlsplit

import dagster as dg
from pydantic import Field, PrivateAttr, field_serializer

from klaviyo_assets._internal.option import Number
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.extract.sync_options import parse_start_date
from klaviyo_assets.settings.options import API_KEY_OPTION, OPTIONS, RESOURCE_OPTIONS, client_settings, options_for
from klaviyo_assets.settings.setting_checks import check_metrics, check_plain_http
from klaviyo_assets.validation import InvalidDefinition

if TYPE_CHECKING:
    import httpx
    from dagster._config.pythonic_config import ConfigurableResourceFactoryResourceDefinition

    from klaviyo_assets.api.auth import ApiKey
    from klaviyo_assets.api.client import KlaviyoClient
    from klaviyo_assets.extract.metric_selection import MetricRules


def option_field(name: str) -> Any:
    """Return the Pydantic field of an option: its default, description and bounds."""
    option = OPTIONS[name]
    bounds: dict[str, Any] = option.kind.bounds if isinstance(option.kind, Number) else {}
    return Field(default=option.default, description=f"{option.description}.", **bounds)


_FROM_ENVIRONMENT = (dg.EnvVar, type(dg.EnvVar.int("NAME")))
"""Types of values that Dagster reads from the environment when a run starts."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class KlaviyoResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Access to a Klaviyo account with a private API key.

    Example:
        >>> KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_API_KEY"), rate_limit_share=0.5)

    The options are described in :mod:`klaviyo_assets.settings.options`. The key is checked when it is used, with a message for each kind of mistake
    (:func:`klaviyo_assets.api.auth.parse_api_key`).
    """

    _has_warned: bool = PrivateAttr(default=False)
    _catalog: Catalog = PrivateAttr(default_factory=lambda: CATALOG)

    api_key: str = Field(
        repr=False,
        description=f'{API_KEY_OPTION.description}. Give it as EnvVar("{API_KEY_OPTION.variable}"), so that it is stored nowhere.',
    )
    base_url: str = option_field("base_url")
    allow_http: bool = option_field("allow_http")
    revision: str = option_field("revision")
    rate_limit_share: float = option_field("rate_limit_share")
    concurrency: int = option_field("concurrency")
    timeout: float = option_field("timeout")
    max_retries: int = option_field("max_retries")
    max_response_bytes: int = option_field("max_response_bytes")
    start_date: str | None = option_field("start_date")
    conversion_metric_ids: str | None = option_field("conversion_metric_ids")
    account_id: str | None = option_field("account_id")
    event_metrics: list[str] = option_field("event_metrics")
    exclude_event_metrics: list[str] = option_field("exclude_event_metrics")
    accept_other_account: bool = option_field("accept_other_account")
    accept_changed_options: bool = option_field("accept_changed_options")
    member_groups: list[str] = option_field("member_groups")
    field_rules: dict[str, dict[str, str]] = option_field("field_rules")
    duckdb_patience: float = option_field("duckdb_patience")
    duckdb_memory_limit: str | None = option_field("duckdb_memory_limit")
    duckdb_threads: int | None = option_field("duckdb_threads")

    @field_serializer("api_key")
    def _masked(self, _: str) -> str:
        """Keep the key out of dumps; Dagster itself reads the field."""
        return "pk_***"

    def with_catalog(self, catalog: Catalog) -> Self:
        """Let field rules name the types of a catalog of your own, and return the resource.

        ``build_klaviyo_definitions`` does this. Call it if you pass the resource to ``dagster.Definitions`` yourself: the rules are checked when code
        is loaded, where the resource does not know the catalog of the assets.

        Example:
            >>> klaviyo = KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_API_KEY"), field_rules={"my_type": {"email": "hash"}}).with_catalog(MY_CATALOG)
        """
        self._catalog = catalog
        return self

    def get_resource_definition(self) -> "ConfigurableResourceFactoryResourceDefinition":
        """Return Dagster's definition, when code is loaded.

        Raises:
            InvalidDefinition: If the value of a field is already known to be wrong.
        """
        check_resource(self, self._catalog)
        self._warn_of_a_literal_key()
        return super().get_resource_definition()

    def _warn_of_a_literal_key(self) -> None:
        """Warn once about a key that is written in the code, because Dagster stores it. The sandbox's key is not a secret."""
        if isinstance(self.api_key, dg.EnvVar) or self._has_warned or urlsplit(self.base_url).hostname in _LOOPBACK:
            return
        self._has_warned = True
        logging.getLogger("klaviyo_assets").warning(
            "A KlaviyoResource has its API key as plain text in the code: Dagster may store it with its snapshots and runs, and show it in the UI. "
            'What to do: give it as api_key=dg.EnvVar("…"); create a new key if others can read the code or what Dagster stores.'
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("A KlaviyoResource cannot be pickled, since it may hold the API key; create it where it is used.")

    @property
    def metric_rules(self) -> "MetricRules":
        """The metrics of events that the user selects."""
        from klaviyo_assets.extract.metric_selection import MetricRules

        return MetricRules(tuple(self.event_metrics), tuple(self.exclude_event_metrics))

    @property
    def starts_at(self) -> datetime | None:
        """The start date as an instant; None if there is none.

        Raises:
            ValueError: If it is no date.
        """
        return parse_start_date(self.start_date, "KLAVIYO_START_DATE") if self.start_date else None

    def parsed_key(self) -> "ApiKey":
        """Return the key, checked.

        Raises:
            ApiKeyError: If it cannot be a private API key; the message says why and never shows it.
        """
        from klaviyo_assets.api.auth import ApiKeyWarning, parse_api_key

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ApiKeyWarning)
            key = parse_api_key(self.api_key)
        for warning in caught:
            logging.getLogger("klaviyo_assets").warning("%s", warning.message)
        return key

    def client(self) -> "KlaviyoClient":
        """Return a client, which shares the account's slowest limits with other processes; use it as an asynchronous context manager.

        Raises:
            ApiKeyError: If the key cannot be a private API key.
            InvalidNetworkSetting: If no request could be sent, such as with an unusable proxy or result of :meth:`transport`.
        """
        from klaviyo_assets._internal.machine_folder import limits_folder
        from klaviyo_assets.api.client import KlaviyoClient

        key = self.parsed_key()
        return KlaviyoClient(key, self.settings(limits_folder(self.base_url, key.reveal())), transport=self._checked_transport())

    def _checked_transport(self) -> "httpx.AsyncBaseTransport | None":
        import httpx

        from klaviyo_assets.api.klaviyo_errors import InvalidNetworkSetting

        transport: object = self.transport()
        if transport is None or isinstance(transport, httpx.AsyncBaseTransport):
            return transport
        returned = f"the class {transport.__name__}" if isinstance(transport, type) else type(transport).__name__
        raise InvalidNetworkSetting(
            f"The method transport() of {type(self).__name__} returns {returned}, not an httpx.AsyncBaseTransport.",
            advice="Return an instance of such a transport, or None for the default.",
        )

    def transport(self) -> "httpx.AsyncBaseTransport | None":
        """Return an httpx transport for one client, which closes it; None for the default.

        For subclasses, such as one that records responses or sends requests through a gateway.
        """
        return None

    def settings(self, shared_limits: Path | None = None) -> ClientSettings:
        """Return the client's settings.

        Args:
            shared_limits: Folder through which processes share the slowest limits.
        """
        return client_settings(self, shared_limits=shared_limits)


def check_account(klaviyo: object) -> None:
    """Check the resource that a user passes; what it is instead may be a key, and is not shown.

    Raises:
        InvalidDefinition: If it is none, such as a class in place of an instance.
    """
    if not isinstance(klaviyo, KlaviyoResource):
        what = f"the class {klaviyo.__name__}" if isinstance(klaviyo, type) else type(klaviyo).__name__
        raise InvalidDefinition(f'klaviyo= takes a KlaviyoResource, not {what}. Write KlaviyoResource(api_key=dg.EnvVar("…")).')


def check_resource(klaviyo: "KlaviyoResource", catalog: Catalog = CATALOG) -> None:
    """Check the fields of a resource, as far as they are known.

    Args:
        klaviyo: The resource.
        catalog: Resource types that field rules may name, besides those of this package.

    Raises:
        InvalidDefinition: Naming the field.
    """
    known = {option.name: value for option in RESOURCE_OPTIONS if not _is_read_later(value := getattr(klaviyo, option.name))}
    options = options_for(catalog)
    try:
        for name, value in known.items():
            options[name].kind.check(value, _called(name))
        if "base_url" in known:
            check_plain_http(klaviyo.base_url, _called("base_url"), allow_http=klaviyo.allow_http, switch="allow_http=True")
        check_metrics(klaviyo.event_metrics, klaviyo.exclude_event_metrics, _called("event_metrics"), "exclude_event_metrics")
    except ValueError as error:
        raise InvalidDefinition(str(error)) from None


def _is_read_later(value: object) -> bool:
    """Return whether a value, or one inside of it, is read from the environment when a run starts."""
    if isinstance(value, Mapping):
        return any(_is_read_later(one) for one in value.values())
    return isinstance(value, _FROM_ENVIRONMENT)


def _called(name: str) -> str:
    return f"The field {name} of KlaviyoResource"
