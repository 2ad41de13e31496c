"""The Dagster resource that wraps the Klaviyo client."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import dagster as dg
from pydantic import Field, PrivateAttr, field_serializer

from klaviyo_assets.api.options import DEFAULT_BASE_URL, DEFAULT_MAX_RESPONSE_BYTES, LEAST_MAX_RESPONSE_BYTES, ClientSettings
from klaviyo_assets.catalog import REVISION
from klaviyo_assets.validation import check_resource
from klaviyo_assets.warehouse.memory_limit import DEFAULT_MEMORY_LIMIT, MEMORY_LIMIT_WORDS, MOST_THREADS

if TYPE_CHECKING:
    from dagster._config.pythonic_config import ConfigurableResourceFactoryResourceDefinition

    from klaviyo_assets.api.auth import ApiKey
    from klaviyo_assets.api.client import KlaviyoClient


_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class KlaviyoResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Access to a Klaviyo account with a private API key.

    Example:
        >>> KlaviyoResource(api_key=dg.EnvVar("KLAVIYO_API_KEY"), rate_limit_share=0.5)

    Attributes are described in their fields. Nothing is validated when code is loaded: the key is checked when it is used, with a message for each
    way in which it can be wrong (:func:`klaviyo_assets.api.auth.parse_api_key`).
    """

    _has_warned: bool = PrivateAttr(default=False)

    api_key: str = Field(
        repr=False,
        description='Private API key (pk_…). Give it as EnvVar("KLAVIYO_API_KEY"), so that it is stored nowhere.',
    )
    base_url: str = Field(default=DEFAULT_BASE_URL, description="Scheme, host and port of the API; another one for the sandbox.")
    allow_http: bool = Field(
        default=False, description="Accept a base_url of plain http to another machine than this one, which sends the API key unencrypted."
    )
    revision: str = Field(default=REVISION, description="API revision that requests pin.")
    rate_limit_share: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="Share of each endpoint's rate limit to use. The limit is the account's: the rest is left to its other integrations.",
    )
    concurrency: int = Field(
        default=64,
        ge=1,
        le=256,
        description="Requests under way at once for one resource type, at most; how many there are follows from the rate limit and the latency.",
    )
    timeout: float = Field(default=60.0, gt=0, description="Seconds without a byte after which a request is tried again.")
    max_retries: int = Field(default=6, ge=0, le=20, description="Times that a request is tried again after a transient fault.")
    max_response_bytes: int = Field(
        default=DEFAULT_MAX_RESPONSE_BYTES,
        ge=LEAST_MAX_RESPONSE_BYTES,
        description="Bytes that one answer may have, as it comes and decompressed. A page that is larger is asked for again with fewer records.",
    )
    start_date: str | None = Field(default=None, description="Nothing older is read, of resource types that have a history to cut (events).")
    account_id: str | None = Field(
        default=None,
        description="Id of the account that the key belongs to, for a key that may not ask (no accounts:read) and is new to a database.",
    )
    accept_other_account: bool = Field(
        default=False,
        description="Let a schema that holds one account's data go over to the account of this key, rather than refusing the key.",
    )
    accept_changed_options: bool = Field(
        default=False, description="Keep what was read with other options or columns as it is, rather than reading it again."
    )
    field_rules: dict[str, dict[str, str]] = Field(
        default={},
        description="Fields that are dropped or hashed before anything is stored, by resource type: "
        '{"profiles": {"email": "hash", "properties.birthday": "drop"}}. Hashes need a secret in KLAVIYO_FIELD_SALT.',
    )
    duckdb_patience: float = Field(
        default=300.0, ge=0, description="Seconds to wait for another program that has the DuckDB file open, before the asset fails."
    )

    duckdb_memory_limit: str | None = Field(
        default=None,
        description=f"Memory that DuckDB may use in a sync: {MEMORY_LIMIT_WORDS}. {DEFAULT_MEMORY_LIMIT} if None. "
        "memory_limit in the connection_config of the DuckDBResource takes precedence.",
    )
    duckdb_threads: int | None = Field(
        default=None,
        ge=1,
        le=MOST_THREADS,
        description="Threads that DuckDB may use in a sync; 2 if None, 1 where all rows are new. threads in the connection_config of the "
        "DuckDBResource takes precedence.",
    )

    @field_serializer("api_key")
    def _masked(self, _: str) -> str:
        """Keep the key out of dumps; Dagster itself reads the field."""
        return "pk_***"

    def get_resource_definition(self) -> "ConfigurableResourceFactoryResourceDefinition":
        """Return Dagster's definition, when code is loaded.

        Raises:
            InvalidDefinition: If a field holds what can be known now to be wrong.
        """
        check_resource(self)
        self._warn_of_a_literal_key()
        return super().get_resource_definition()

    def _warn_of_a_literal_key(self) -> None:
        """Warn, once, of a key that stands in the code: Dagster stores it. The sandbox's is no secret."""
        if isinstance(self.api_key, dg.EnvVar) or self._has_warned or urlsplit(self.base_url).hostname in _LOOPBACK:
            return
        self._has_warned = True
        logging.getLogger("klaviyo_assets").warning(
            "A KlaviyoResource has its API key as a text in the code: Dagster may store it with its snapshots and runs, and show it in the UI. "
            'What to do: give it as api_key=dg.EnvVar("…"); create a new key if others can read the code or what Dagster stores.'
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("A KlaviyoResource is not pickled, since it may hold the API key; make it where it is used.")

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
        """
        from klaviyo_assets._internal.machine_folder import limits_folder
        from klaviyo_assets.api.client import KlaviyoClient

        key = self.parsed_key()
        return KlaviyoClient(key, self.settings(limits_folder(self.base_url, key.reveal())))

    def settings(self, shared_limits: Path | None = None) -> ClientSettings:
        """Return the client's settings.

        Args:
            shared_limits: Folder through which processes share the slowest limits.
        """
        return ClientSettings(
            base_url=self.base_url,
            allow_http=self.allow_http,
            revision=self.revision,
            rate_limit_share=self.rate_limit_share,
            concurrency=self.concurrency,
            timeout=self.timeout,
            max_retries=self.max_retries,
            max_response_bytes=self.max_response_bytes,
            shared_limits=shared_limits,
        )
