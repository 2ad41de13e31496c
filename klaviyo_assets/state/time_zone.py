"""The account's time zone: requested at most once a day, then stored next to the database.

Reports count by days of the account. Its endpoint allows one request per second for the whole account, so not every sync uses it.
"""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from klaviyo_assets._internal import private_files
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.klaviyo_errors import AccessDenied, KlaviyoError
from klaviyo_assets.catalog import CATALOG, Catalog, ResourceType
from klaviyo_assets.errors import SyncError
from klaviyo_assets.state.identity import UNKNOWN_ACCOUNT

_FRESH = timedelta(days=1)


class _Stored(msgspec.Struct):
    """A time zone, and when Klaviyo named it."""

    name: str
    at: datetime


class _Attributes(msgspec.Struct):
    timezone: str | None = None


class _Record(msgspec.Struct):
    attributes: _Attributes


class _Accounts(msgspec.Struct):
    data: list[_Record]


async def account_time_zone(client: KlaviyoClient, state_dir: Path, account_id: str, *, catalog: Catalog = CATALOG) -> ZoneInfo:
    """Return the account's time zone. If Klaviyo does not name it now, the one that it named before counts.

    Args:
        client: The client.
        state_dir: Folder of the database's state.
        account_id: The account, or ``unknown``.
        catalog: The resource types in use, with the one that identifies the account.

    Raises:
        SyncError: If it is not known, or this machine does not know it; the text says what to do.
    """
    path = state_dir / f"time_zone-{account_id}.json"
    stored = None if account_id == UNKNOWN_ACCOUNT else _read(path)
    if stored is None or client.now() - stored.at > _FRESH:
        try:
            stored = _Stored(await _request(client, catalog.account_type), client.now())
            if account_id != UNKNOWN_ACCOUNT:
                _write(path, stored)
        except KlaviyoError as error:
            if stored is None:
                scopes = catalog.account_type.scope_text
                key_advice = f"Create a private API key that also has {scopes}, and set KLAVIYO_API_KEY to it."
                advice = key_advice if isinstance(error, AccessDenied) else "Run the sync again later."
                raise SyncError(f"Reports count by days of the account, and its time zone is not known: {error.message}", advice) from error
    return _zone(stored.name)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SyncError(
            f"This machine does not know the account's time zone {name!r}, by which reports count days.",
            "Install the time zones of the operating system, or pip install --upgrade tzdata.",
        ) from error


async def _request(client: KlaviyoClient, entry: ResourceType) -> str:
    fields = {f"fields[{entry.jsonapi_type}]": "timezone"}
    response = await client.get(entry, entry.endpoint.path, fields, msgspec.json.Decoder(_Accounts).decode)
    name = next((record.attributes.timezone for record in response.value.data), None)
    if not name:
        raise SyncError("Klaviyo does not name the account's time zone, by which reports count days.", "Set it in Klaviyo: Settings > Account.")
    return name


def _read(path: Path) -> _Stored | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Stored)
    except (OSError, ValueError, msgspec.MsgspecError):
        return None  # it is requested again


def _write(path: Path, stored: _Stored) -> None:
    partial = path.with_suffix(".tmp")
    private_files.write(partial, msgspec.json.encode(stored))
    partial.replace(path)
