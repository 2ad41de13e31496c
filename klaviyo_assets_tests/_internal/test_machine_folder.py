"""The folder that processes share: one for each account of each server, whatever a crash has left in it."""

import os
import tempfile
from pathlib import Path

import pytest
from filelock import BaseFileLock, FileLock

from klaviyo_assets._internal import machine_folder
from klaviyo_assets._internal.file_lock import acquire
from klaviyo_assets._internal.machine_folder import folder_of, limits_folder, note_account

HERE, THERE = "http://127.0.0.1:8020", "http://127.0.0.1:8021"
KEY, OTHER_KEY = "pk_" + "a" * 34, "pk_" + "b" * 34


def found(folder: Path | None) -> Path:
    assert folder is not None
    return folder


def test_keys_of_one_account_share_its_limits_once_the_account_is_known() -> None:
    assert limits_folder(HERE, KEY) != limits_folder(HERE, OTHER_KEY)

    for key in (KEY, OTHER_KEY):
        note_account(HERE, key, "ABC123")

    assert limits_folder(HERE, KEY) == limits_folder(HERE, OTHER_KEY)


def test_a_process_that_starts_right_after_the_account_is_noted_shares_the_limits_with_those_before() -> None:
    before = limits_folder(HERE, KEY)

    note_account(HERE, KEY, "ABC123")

    assert limits_folder(HERE, KEY) == before


def test_another_server_and_another_account_have_folders_of_their_own() -> None:
    note_account(HERE, KEY, "ABC123")
    note_account(HERE, OTHER_KEY, "DEF456")

    assert len({limits_folder(HERE, KEY), limits_folder(HERE, OTHER_KEY), limits_folder(THERE, KEY)}) == 3
    assert limits_folder(HERE, KEY) == limits_folder(HERE + "/", KEY)


def test_a_key_that_goes_over_to_another_account_follows_it() -> None:
    note_account(HERE, KEY, "ABC123")
    note_account(HERE, OTHER_KEY, "DEF456")
    before = limits_folder(HERE, KEY)

    note_account(HERE, KEY, "DEF456")

    assert limits_folder(HERE, KEY) == limits_folder(HERE, OTHER_KEY) != before


@pytest.mark.parametrize("content", [b"", b"\0" * 32, b"\xff\xfe", b"{}", b"../../../etc", b"a" * 100])
def test_what_a_crash_has_left_is_replaced(content: bytes) -> None:
    note_account(HERE, OTHER_KEY, "ABC123")
    note_account(HERE, KEY, "ABC123")
    own, shared = found(folder_of(HERE, KEY)), limits_folder(HERE, OTHER_KEY)
    (own / "account").write_bytes(content)
    assert limits_folder(HERE, KEY) == own / "limits" != shared
    note_account(HERE, KEY, "ABC123")
    assert limits_folder(HERE, KEY) == shared

    (found(folder_of(HERE, "ABC123")) / "limits_of").write_bytes(content)
    assert limits_folder(HERE, KEY) == own / "limits"
    note_account(HERE, KEY, "ABC123")
    assert limits_folder(HERE, KEY) == own / "limits" == limits_folder(HERE, OTHER_KEY)

    (own.parent / "salt").write_bytes(content)
    folder = folder_of(HERE, KEY)
    assert folder is not None
    assert folder == folder_of(HERE, KEY)
    assert folder.parent == own.parent


def test_without_a_folder_for_temporary_files_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")

    assert limits_folder(HERE, KEY) is None
    note_account(HERE, KEY, "ABC123")


@pytest.mark.parametrize("has_kept", [True, False])
def test_the_folder_is_where_a_restart_does_not_delete_it(has_kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten, kept = tmp_path / "tmp", tmp_path / "var"
    for folder in (forgotten, kept) if has_kept else (forgotten,):
        folder.mkdir()
    monkeypatch.setattr(machine_folder, "_FORGOTTEN", forgotten)
    monkeypatch.setattr(machine_folder, "_KEPT", kept)
    monkeypatch.setattr("tempfile.tempdir", str(forgotten))

    assert found(folder_of(HERE, KEY)).parent.parent == (kept if has_kept else forgotten)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # such as TMPDIR
    assert found(folder_of(HERE, KEY)).parent.parent == tmp_path


def test_a_salt_that_another_process_keeps_locked_is_waited_for_a_short_while_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = Path(tempfile.gettempdir()) / f"klaviyo_assets-{os.getuid()}"
    root.mkdir(mode=0o700)
    monkeypatch.setattr(machine_folder, "_PATIENCE", 0.1)
    with FileLock(str(root / "salt.lock")):
        assert folder_of("https://a.klaviyo.com", "ABC123") is None
    assert "does not share its pace with others" in caplog.text
    assert "What to do: see whether a process hangs" in caplog.text

    assert folder_of("https://a.klaviyo.com", "ABC123") is not None
    with FileLock(str(root / "salt.lock"), timeout=0):
        pass


def test_a_process_that_waited_for_the_salt_of_another_one_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path | None] = []

    def acquire_after_another_process(lock: BaseFileLock, seconds: float) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(machine_folder, "acquire", acquire)
            written.append(folder_of(HERE, KEY))
        acquire(lock, seconds)

    monkeypatch.setattr(machine_folder, "acquire", acquire_after_another_process)

    assert [folder_of(HERE, KEY)] == written != [None]
