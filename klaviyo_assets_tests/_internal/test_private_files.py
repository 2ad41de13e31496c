"""Files of a sync are private to their owner, whatever the umask; existing ones keep their mode."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from klaviyo_assets._internal import private_files
from klaviyo_assets._internal.machine_folder import limits_folder
from klaviyo_assets.api.klaviyo_errors import RequestFailed
from klaviyo_assets.sandbox import ALL_SCOPES_KEY
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file, sync

NewAccount = Callable[..., SandboxProcess]


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A world-writable folder for temporary files, like /tmp."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def open_to_others(folder: Path) -> dict[str, str]:
    """Return the paths below a folder that others can read or write, with their modes."""
    modes = {path: path.lstat().st_mode for path in folder.rglob("*")}
    return {str(path.relative_to(folder)): stat.filemode(mode) for path, mode in modes.items() if mode & 0o077}


@pytest.mark.long
def test_files_of_a_sync_are_private(
    new_account: NewAccount, tmp_path: Path, no_umask: None, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    sandbox, folder = new_account(), tmp_path / "data"
    folder.mkdir(mode=0o755)
    warehouse = local_file(folder)
    sync("accounts", sandbox, warehouse, shared_limits=limits_folder(sandbox.base_url, ALL_SCOPES_KEY))
    sandbox.faults({"path": "/api/events", "kind": "503", "times": None, "after": 5})
    with pytest.raises(RequestFailed):
        sync("events", sandbox, warehouse, concurrency=2)

    names = {path.name for path in folder.rglob("*")}
    assert {"klaviyo.duckdb", "klaviyo.duckdb.lock", "identity.json", "manifest.json", "000001.parquet"} <= names
    assert open_to_others(folder) == {}
    assert open_to_others(temporary) == {}
    assert list(temporary.rglob("api-accounts-*.sqlite"))
    assert [path.name for path in temporary.iterdir()] == [f"klaviyo_assets-{os.getuid()}"]


def test_existing_folder_keeps_its_mode(account: SandboxProcess, tmp_path: Path, no_umask: None) -> None:
    warehouse = local_file(tmp_path)
    warehouse.state_dir.chmod(0o750)

    sync("lists", account, warehouse)

    assert stat.S_IMODE(warehouse.state_dir.stat().st_mode) == 0o750


@pytest.mark.parametrize("trap", ["link", "open folder"])
def test_folder_that_another_user_may_have_created_is_not_used(
    trap: str, account: SandboxProcess, warehouse: LocalFile, temporary: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bait, name = tmp_path / "bait", temporary / f"klaviyo_assets-{os.getuid()}"
    bait.mkdir()
    if trap == "link":
        name.symlink_to(bait)
    else:
        name.mkdir()
        name.chmod(0o777)

    assert sync("lists", account, warehouse).row.outcome == "succeeded"

    assert list(bait.iterdir()) == []
    assert list(name.iterdir()) == []
    assert "is a link, or others may write to it" in caplog.text


def test_a_new_file_does_not_follow_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "name").symlink_to(target)

    private_files.write(tmp_path / "name", b"new")

    assert target.read_text() == "mine"
    assert not (tmp_path / "name").is_symlink()


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["FIFO", "folder"])
@pytest.mark.parametrize("work", [private_files.make_file, private_files.remove_file, lambda path: private_files.write(path, b"new")])
def test_what_is_not_a_file_is_neither_opened_nor_removed(work: Callable[[Path], None], make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "name"
    make(path)
    before = path.lstat()

    with pytest.raises(FileExistsError, match="not a regular file") as caught:
        work(path)

    assert caught.value.filename == str(path)
    assert os.path.samestat(path.lstat(), before)
    assert stat.S_IFMT(path.lstat().st_mode) == stat.S_IFMT(before.st_mode)
