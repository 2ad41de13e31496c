"""A folder of this user on this machine for state that processes share whichever database they fill: locks, and the usage of rate limits.

Locks matter only while processes run, and the usage of the slowest limits for a day, so the folder is in the one for temporary files: in
``/var/tmp``, which a restart of the machine leaves as it is, rather than in ``/tmp`` (Filesystem Hierarchy Standard 3.0, 5.15). A folder that
``TMPDIR`` names is used as it is. Names in it contain neither account nor key, but a fingerprint that is salted for this machine.
"""

import contextlib
import hashlib
import logging
import os
import re
import secrets
import stat
import tempfile
from pathlib import Path

from filelock import Timeout

from klaviyo_assets._internal import private_files
from klaviyo_assets._internal.file_lock import acquire, file_lock

_SALT = re.compile(r"[0-9a-f]{32}")
_FOLDER_NAME = re.compile(r"[0-9a-f]{20}")

_FORGOTTEN, _KEPT = Path("/tmp"), Path("/var/tmp")  # noqa: S108 - folder_of() uses neither a link nor a folder that others may write to
"""The default folder for temporary files, and the one with files that a restart does not delete."""

_ACCOUNT_FILE = "account"
"""File in a key's folder that names the folder of its account."""

_LIMITS_OF = "limits_of"
"""File in an account's folder that names the folder of the key with the account's limits."""

_PATIENCE = 5.0
"""Seconds to wait for another process that makes the salt, which takes it milliseconds."""

_log = logging.getLogger("klaviyo_assets")


def folder_of(base_url: str, secret: str) -> Path | None:
    """Return the folder of an account or a key.

    Args:
        base_url: Scheme, host and port of the API.
        secret: The account's id, or the key where the account is not known.

    Returns:
        The folder, or None if it cannot be created. Every user may write to the folder for temporary files: what another user has created there
        under our name, such as a link, is not used.
    """
    root = _temporary_files() / f"klaviyo_assets-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    try:
        # A folder of root's belongs to root, even if the folder for temporary files belongs to another user.
        private_files.make_folder(root, like=Path(root.anchor))
        if not _is_ours(root):
            _log.warning(
                "%s is a link, or others may write to it: a sync of the same account into another database is not noticed. What to do: delete it.",
                root,
            )
            return None
        folder = root / _fingerprint(base_url, secret, _salt(root))
        private_files.make_folder(folder)
    except OSError:
        return None
    return folder


def limits_folder(base_url: str, key: str) -> Path | None:
    """Return the folder through which the processes of this machine share the slowest limits of a key's account.

    A key's own folder serves until its account is known. The first key that is noted for an account keeps its folder and lends it to the account's
    other keys: a process that starts when the account has just been noted must see the requests of those that started before.

    Args:
        base_url: Scheme, host and port of the API.
        key: The API key.
    """
    own = folder_of(base_url, key)
    if own is None:
        return None
    account = _named_in(own / _ACCOUNT_FILE)
    lender = account and _named_in(account / _LIMITS_OF)
    return (lender or own) / "limits"


def note_account(base_url: str, key: str, account_id: str) -> None:
    """Note which account a key belongs to, so that the account's other keys share the limits with it."""
    own, account = folder_of(base_url, key), folder_of(base_url, account_id)
    if own is None or account is None:
        return
    with contextlib.suppress(OSError):
        if _named_in(account / _LIMITS_OF) is None:
            _write_name(account / _LIMITS_OF, own)
        if _named_in(own / _ACCOUNT_FILE) != account:
            _write_name(own / _ACCOUNT_FILE, account)


def _temporary_files() -> Path:
    usual = Path(tempfile.gettempdir())
    return _KEPT if usual == _FORGOTTEN and os.access(_KEPT, os.W_OK | os.X_OK) else usual


def _named_in(path: Path) -> Path | None:
    """Return the folder that a file names, or None if there is no such file or a crash has damaged it."""
    with contextlib.suppress(OSError, ValueError):
        name = path.read_text()
        if _FOLDER_NAME.fullmatch(name):
            return path.parent.parent / name
    return None


def _write_name(path: Path, folder: Path) -> None:
    partial = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
    private_files.write(partial, folder.name.encode())
    partial.replace(path)


def _is_ours(folder: Path) -> bool:
    """Return whether a folder in a place that all users may write to was created by us: it is no link, and no other user may write there."""
    facts = folder.lstat()
    return stat.S_ISDIR(facts.st_mode) and (not hasattr(os, "getuid") or (facts.st_uid == os.getuid() and not facts.st_mode & 0o022))


def _fingerprint(base_url: str, secret: str, salt: str) -> str:
    digest = hashlib.blake2b(f"{base_url.rstrip('/')} ".encode(), key=bytes.fromhex(salt), digest_size=10)
    digest.update(secret.encode())
    return digest.hexdigest()


def _salt(root: Path) -> str:
    path = root / "salt"
    if (salt := _read_salt(path)) is not None:
        return salt
    lock = file_lock(root / "salt.lock")
    try:
        acquire(lock, _PATIENCE)
    except Timeout:
        _log.warning(
            "Another process has kept %s locked for %.0f seconds: this process does not share its pace with others on this machine. What to do: see "
            "whether a process hangs, and end it.",
            lock.lock_file,
            _PATIENCE,
        )
        raise
    try:
        if (salt := _read_salt(path)) is not None:
            return salt
        new, salt = root / f"salt-{secrets.token_hex(8)}", secrets.token_hex(16)
        private_files.write(new, salt.encode())
        new.replace(path)
        return salt
    finally:
        lock.release()


def _read_salt(path: Path) -> str | None:
    """Return the salt, None if there is none, or a crash of the machine has left something else."""
    try:
        text = path.read_bytes().decode("ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return text if _SALT.fullmatch(text) else None
