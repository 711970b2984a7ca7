"""The checkpoint file where the file system lacks a feature, or something removes files."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from bridge.checkpoint.file import FileCheckpointStore
from bridge.errors import BridgeError, Fenced, Misconfigured, Retryable
from tests.support.factories import checkpoint


def refuse_folder_sync(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    fsync = os.fsync

    def refusing(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refusing)


def refuse_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refusing(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refusing)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS])
def test_a_folder_without_sync_is_no_obstacle(
    store: FileCheckpointStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse_folder_sync(monkeypatch, number)

    store.check_rights()
    store.save(checkpoint(3))

    assert store.load() == checkpoint(3)


def test_a_folder_whose_sync_fails_is_reported(
    store: FileCheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An I/O error is not a missing feature."""
    refuse_folder_sync(monkeypatch, errno.EIO)

    with pytest.raises(Retryable, match="Input/output error"):
        store.check_rights()
    with pytest.raises(Retryable, match="Input/output error"):
        store.save(checkpoint(3))


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
@pytest.mark.parametrize("call", ["acquire", "check_rights"])
def test_a_file_system_without_locks_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    refuse_locks(monkeypatch, number)

    with pytest.raises(Misconfigured, match="has no locks") as caught:
        getattr(FileCheckpointStore(path, "bridge"), call)()

    assert caught.value.exit_code == 78
    assert "checkpoint.store = mongo" in str(caught.value)


def test_looking_at_the_rights_leaves_nothing(tmp_path: Path, path: Path) -> None:
    FileCheckpointStore(path, "bridge").check_rights()

    assert list(tmp_path.iterdir()) == []


def test_looking_at_the_rights_disturbs_no_owner(store: FileCheckpointStore, path: Path) -> None:
    FileCheckpointStore(path, "bridge").check_rights()

    store.save(checkpoint(1))
    with pytest.raises(Fenced):
        FileCheckpointStore(path, "bridge").acquire()


def test_a_removed_lock_file_is_locked_again(
    store: FileCheckpointStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock_of(path).unlink()

    store.renew()

    assert "vanished" in caplog.text
    with pytest.raises(Fenced):
        FileCheckpointStore(path, "bridge").acquire()


def test_an_owner_of_another_lock_fences(store: FileCheckpointStore, path: Path) -> None:
    """While the lock file was gone, another process made a new one and locked it."""
    store.save(checkpoint(1))
    lock_of(path).unlink()
    other = FileCheckpointStore(path, "bridge")
    other.acquire()

    with pytest.raises(Fenced):
        store.save(checkpoint(2, sequence=1))

    other.save(checkpoint(5, sequence=1))
    stored = other.load()
    assert stored is not None and stored.position == checkpoint(5).position
    other.release()


def test_a_past_owner_of_another_lock_fences(store: FileCheckpointStore, path: Path) -> None:
    """The other process has ended, but the stored position is its own."""
    store.save(checkpoint(1))
    lock_of(path).unlink()
    other = FileCheckpointStore(path, "bridge")
    other.acquire()
    other.save(checkpoint(5, sequence=1))
    other.release()

    with pytest.raises(Fenced, match="took over"):
        store.save(checkpoint(2, sequence=2))

    stored = FileCheckpointStore(path, "bridge").load()
    assert stored is not None and stored.position == checkpoint(5).position


def test_a_removed_folder_is_one_clear_line(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    store = FileCheckpointStore(folder / "bridge.json", "bridge")
    store.acquire()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()

    with pytest.raises(BridgeError, match=r"Cannot use the checkpoint file .*No such file"):
        store.save(checkpoint(1))


def lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")
