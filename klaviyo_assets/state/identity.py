"""Which account a key belongs to, and which keys have filled a schema: requested once, then stored next to the database.

The accounts endpoint allows one request per second for the whole account, so not every process can use it.
"""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import AsyncFileLock, Timeout

from klaviyo_assets._internal import cancellation, private_files
from klaviyo_assets._internal.redaction import redact
from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import DEFAULT_BASE_URL
from klaviyo_assets.api.klaviyo_errors import KlaviyoError, PlanGate, ScopeMissing
from klaviyo_assets.catalog import CATALOG, Catalog, ResourceType
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.errors import SyncError

UNKNOWN_ACCOUNT = "unknown"
"""Used instead of the account's id if the key may not read it (no ``accounts:read``)."""

_TIMEOUT = 30.0
"""Seconds to wait for Klaviyo's response, and for another process that waits for it."""

_WRITE_TIMEOUT = 2 * _TIMEOUT

_SALT_BYTES = 16

_log = logging.getLogger("klaviyo_assets")


class _KnownAccounts(msgspec.Struct):
    """Account ids by fingerprint of key and server, and the fingerprints that have filled each schema."""

    salt: str
    accounts: dict[str, str] = msgspec.field(default_factory=dict)
    schemas: dict[str, list[str]] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class Identity:
    """What is known about a key.

    Attributes:
        account_id: The account, or ``unknown``.
        seen: True if the key has filled this schema before.
        failure: Why the account could not be requested, as part of a sentence, if a later request may succeed; None otherwise.
    """

    account_id: str
    seen: bool
    failure: str | None = None


async def identify(client: KlaviyoClient, state_dir: Path, schema: str, account_id: str | None = None, *, catalog: Catalog = CATALOG) -> Identity:
    """Return the account of the client's key, ``unknown`` if the key may not read it, and whether it has filled the schema before.

    Sends at most one request per key. The response is stored in ``identity.json`` under a salted fingerprint of the key and the base URL (another
    sandbox may have the same key), and other processes wait for the one that sends the request. If Klaviyo does not respond within half a minute, the
    account is unknown for this sync: a failure of that endpoint must not delay every resource type.

    Args:
        client: The client, with its key.
        state_dir: Folder of the database's state.
        schema: DuckDB schema.
        account_id: The account, if the user has set it; then no request is sent.
        catalog: The resource types in use, with the one that identifies the account.

    Raises:
        SyncError: If the account's id is an API key by mistake, which would be stored.
    """
    if account_id is not None and redact(account_id) != account_id:
        raise SyncError(
            "The account id is an API key.", "Set KLAVIYO_ACCOUNT_ID to the account's id (six characters), and KLAVIYO_API_KEY to the key."
        )
    path, failure = state_dir / "identity.json", None
    try:
        async with _locked(state_dir, _TIMEOUT):
            content = _read(path)
            name = _fingerprint(client, content.salt)
            if account_id is None and name not in content.accounts:
                found, failure = await _request_account(client, catalog.account_type)
                if found is not None:
                    content.accounts[name] = found
                    _write(path, content)
    except Timeout:
        failure = "another run is still requesting it"
        content = _read(path)
        name = _fingerprint(client, content.salt)
    # Earlier versions did not distinguish servers.
    seen = not {name, _fingerprint_of_key(client.key, content.salt)}.isdisjoint(content.schemas.get(schema, ()))
    known = account_id or content.accounts.get(name)
    return Identity(known or UNKNOWN_ACCOUNT, seen, None if known else failure)


async def remember(client: KlaviyoClient, state_dir: Path, schema: str) -> None:
    """Record that the client's key fills a schema."""
    async with _locked(state_dir, _WRITE_TIMEOUT):
        path = state_dir / "identity.json"
        content = _read(path)
        name, earlier = _fingerprint(client, content.salt), _fingerprint_of_key(client.key, content.salt)
        keys = content.schemas.get(schema, [])
        if name not in keys:
            # An earlier version recorded the key without the server: replace it.
            content.schemas[schema] = [*(key for key in keys if key != earlier), name]
            _write(path, content)


@asynccontextmanager
async def _locked(state_dir: Path, seconds: float) -> AsyncIterator[None]:
    private_files.make_file(state_dir / "identity.lock")
    lock = AsyncFileLock(str(state_dir / "identity.lock"), timeout=seconds, mode=private_files.FILE_MODE)
    async with cancellation.log_while_waiting(
        "Waiting up to %.0f seconds for another run that is requesting the account of the key from Klaviyo. What to do: nothing; if it happens "
        "often, check whether a run hangs.",
        seconds,
    ):
        await lock.acquire()
    try:
        yield
    finally:
        await lock.release()


async def _request_account(client: KlaviyoClient, entry: ResourceType) -> tuple[str | None, str | None]:
    """Request the account from Klaviyo; return it, or None and why a later request may succeed."""
    try:
        async with asyncio.timeout(_TIMEOUT):
            response = await client.get(entry, entry.endpoint.path, {}, PageDecoder(entry).page)
    except (ScopeMissing, PlanGate):
        return UNKNOWN_ACCOUNT, None  # the scopes of a key never change
    except KlaviyoError as error:
        return None, f"the request for it failed: {error.message.rstrip('.')}"
    except TimeoutError:  # also if requests of other runs had to be sent first
        return None, f"Klaviyo has not named it within {_TIMEOUT:.0f} seconds"
    ids = response.value.frame["id"].to_list()
    return (ids[0], None) if ids else (None, "Klaviyo's response does not name it")


def _fingerprint(client: KlaviyoClient, salt: str) -> str:
    """Return the fingerprint of a key at a server. For Klaviyo's own address it depends only on the key, as in earlier versions."""
    base_url = client.settings.base_url.rstrip("/").lower()
    return _fingerprint_of_key(client.key, salt, "" if base_url == DEFAULT_BASE_URL else f" {base_url}")


def _fingerprint_of_key(key: ApiKey, salt: str, server: str = "") -> str:
    return hashlib.blake2b(f"{key.reveal()}{server}".encode(), salt=bytes.fromhex(salt), digest_size=16).hexdigest()


def _read(path: Path) -> _KnownAccounts:
    """Return the stored content; empty if the file is missing or invalid."""
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_KnownAccounts)
        if len(bytes.fromhex(content.salt)) == _SALT_BYTES:
            return content
    except OSError:
        return _new_content()
    except (ValueError, msgspec.MsgspecError, RecursionError):
        pass
    _log.warning("%s cannot be read and is created again: the account of the key is requested from Klaviyo again.", path)
    return _new_content()


def _new_content() -> _KnownAccounts:
    return _KnownAccounts(salt=secrets.token_hex(_SALT_BYTES))


def _write(path: Path, content: _KnownAccounts) -> None:
    partial = path.with_suffix(".tmp")
    private_files.write(partial, msgspec.json.encode(content))
    partial.replace(path)
