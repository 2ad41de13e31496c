"""One sync of a resource type at a time: into one schema, and of one account on this machine."""

import contextlib
import hashlib
import logging
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from klaviyo_assets import owner_only
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.sync.errors import SyncTaken
from klaviyo_assets.sync.load import UNKNOWN_ACCOUNT

_log = logging.getLogger("klaviyo_assets")


@contextlib.contextmanager
def taken(folder: Path, resource_type: str, run_id: str | None, where: str = "") -> Iterator[None]:
    """Hold a resource type for one sync; the lock's neighbour names the run that has it.

    Args:
        folder: Folder of the lock.
        resource_type: Name of the resource type.
        run_id: Dagster run, for others to read.
        where: What is held, for the message, such as `` into another database``.

    Raises:
        SyncTaken: If another process holds it.
    """
    lock = FileLock(str(folder / f"{resource_type}.lock"), mode=owner_only.FILE_MODE)
    holder = folder / f"{resource_type}.holder"
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        name = holder.read_text().strip() if holder.is_file() else ""
        raise SyncTaken(
            f"{resource_type} is being synced already{where}{f' by run {name}' if name else ''}; nothing was done.",
            "Wait for that run to end, then run again if it is still needed.",
        ) from error
    try:
        owner_only.write(holder, (run_id or "outside of Dagster").encode())
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def account_folder(client: KlaviyoClient, account_id: str) -> Path | None:
    """Return the folder of an account's locks on this machine, whichever database is filled; None if none of our own can be made.

    Locks are of the moment, so they live in the folder for temporary files. The folder's name tells neither account nor key: where the account is
    unknown the key stands for it, as a fingerprint salted for this machine. Everybody may write to that folder: what another user has put there under
    our name, a link say, is not used.
    """
    root = Path(tempfile.gettempdir()) / f"klaviyo_assets-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    try:
        owner_only.make_folder(root)
        if not _is_ours(root):
            _log.warning(
                "%s is a link, or others may write to it: a sync of the same account into another database is not noticed. What to do: delete it.",
                root,
            )
            return None
        folder = root / _name_of(client, account_id, _salt(root))
        owner_only.make_folder(folder)
    except OSError:
        return None
    return folder


def _is_ours(folder: Path) -> bool:
    """Return whether a folder in a place that all may write to is one that only we can have made: no link, and nobody else may write there."""
    facts = folder.lstat()
    return stat.S_ISDIR(facts.st_mode) and (not hasattr(os, "getuid") or (facts.st_uid == os.getuid() and not facts.st_mode & 0o022))


def _name_of(client: KlaviyoClient, account_id: str, salt: str) -> str:
    digest = hashlib.blake2b(f"{client.settings.base_url.rstrip('/')} ".encode(), key=bytes.fromhex(salt), digest_size=10)
    digest.update((account_id if account_id != UNKNOWN_ACCOUNT else client.key.reveal()).encode())
    return digest.hexdigest()


def _salt(root: Path) -> str:
    path = root / "salt"
    if not path.is_file():
        new = root / f"salt-{secrets.token_hex(8)}"
        owner_only.write(new, secrets.token_hex(16).encode())
        with contextlib.suppress(FileExistsError):
            os.link(new, path)  # the first one counts, and is there as a whole
        new.unlink()
    return path.read_text()
