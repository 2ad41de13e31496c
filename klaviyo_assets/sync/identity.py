"""Which account a key belongs to: asked once, kept beside the database.

The accounts endpoint allows one request a second for the whole account, so not every process can ask.
"""

import hashlib
import secrets
from pathlib import Path

import msgspec
from filelock import AsyncFileLock

from klaviyo_assets.api.auth import ApiKey
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.errors import AccessDenied, EdgeBlocked, KlaviyoError
from klaviyo_assets.catalog import ACCOUNTS
from klaviyo_assets.frames import PageDecoder
from klaviyo_assets.sync.load import UNKNOWN_ACCOUNT


class _Book(msgspec.Struct):
    """Account ids by fingerprint of the key."""

    salt: str
    accounts: dict[str, str] = msgspec.field(default_factory=dict)


async def account_id(client: KlaviyoClient, state_dir: Path) -> str:
    """Return the id of the account that the client's key belongs to, or ``unknown`` if the key may not ask.

    Asks Klaviyo at most once a key: what it answered is kept in ``identity.json`` under a salted fingerprint of the key, and other processes wait for
    the one that asks. If Klaviyo cannot tell now, the account is unknown for this time.
    """
    async with AsyncFileLock(str(state_dir / "identity.lock")):
        path = state_dir / "identity.json"
        book = _read(path)
        name = _fingerprint(client.key, book.salt)
        if name not in book.accounts:
            found = await _ask(client)
            if found is None:
                return UNKNOWN_ACCOUNT
            book.accounts[name] = found
            _write(path, book)
        return book.accounts[name]


async def _ask(client: KlaviyoClient) -> str | None:
    """Ask Klaviyo; None if the answer says nothing lasting."""
    try:
        answer = await client.get(ACCOUNTS, ACCOUNTS.endpoint.path, {}, PageDecoder(ACCOUNTS).page)
    except EdgeBlocked:
        return None
    except AccessDenied:
        return UNKNOWN_ACCOUNT  # the scopes of a key never change, so there is no use in asking again
    except KlaviyoError:
        return None
    ids = answer.value.frame["id"].to_list()
    return ids[0] if ids else None


def _fingerprint(key: ApiKey, salt: str) -> str:
    return hashlib.blake2b(key.reveal().encode(), salt=bytes.fromhex(salt), digest_size=16).hexdigest()


def _read(path: Path) -> _Book:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Book)
    except (OSError, msgspec.DecodeError):
        return _Book(salt=secrets.token_hex(16))


def _write(path: Path, book: _Book) -> None:
    partial = path.with_suffix(".tmp")
    partial.write_bytes(msgspec.json.encode(book))
    partial.chmod(0o600)
    partial.replace(path)
