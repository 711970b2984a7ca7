"""The checkpoint file: whole after any crash, damage is reported, the lock is exclusive."""

from __future__ import annotations

import errno
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.checkpoint.file import FileCheckpointStore
from bridge.errors import BridgeError, CheckpointUnusable, Fenced, Misconfigured, Retryable
from bridge.model.membership import Membership
from bridge.model.owner_process import process_text, this_process
from tests.support.factories import at, checkpoint


def test_a_second_process_cannot_take_the_lock(store: FileCheckpointStore, path: Path) -> None:
    with pytest.raises(Fenced, match=r"bridge\.json"):
        FileCheckpointStore(path, "bridge").acquire()


def test_the_lock_survives_a_save(store: FileCheckpointStore, path: Path) -> None:
    for number in range(3):
        store.save(checkpoint(number, sequence=number))

    with pytest.raises(Fenced):
        FileCheckpointStore(path, "bridge").acquire()


def test_the_file_is_readable_json(store: FileCheckpointStore, path: Path) -> None:
    store.save(checkpoint(1))

    record = json.loads(path.read_text())
    assert record["token"] == at(1).token and record["epoch"] == 1
    assert path.read_text().count("\n") > 5


def test_a_crash_while_saving_leaves_the_old_checkpoint(
    store: FileCheckpointStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(checkpoint(1))

    class Crash(BaseException):
        pass

    def crash(_: int) -> None:
        raise Crash

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(Crash):
        store.save(checkpoint(2, sequence=1))

    stored = store.load()
    assert stored is not None and stored.position == at(1)


def test_the_file_is_synced_before_its_rename(
    store: FileCheckpointStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        fsync(descriptor)

    def noting_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    store.save(checkpoint(1))

    assert steps == ["file", "rename", "folder"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_file_cut_anywhere_is_damaged(
    store: FileCheckpointStore, path: Path, data: st.DataObject
) -> None:
    store.save(checkpoint(1))
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])

    with pytest.raises(CheckpointUnusable, match=r"bridge\.json is damaged"):
        store.load()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60)
    | st.sampled_from([b"[" * 5000, b"9" * 5000, b"null", b"[]", b"\xff\xfe", b'{"epoch": 1e999}'])
)
def test_any_damage_can_be_repaired(store: FileCheckpointStore, path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(CheckpointUnusable):
        store.load()
    another = FileCheckpointStore(path.with_name("other.json"), "bridge")
    another._path = path
    assert another._stored_epoch() >= 0

    store.replace(checkpoint(1))
    assert store.load() is not None


def test_the_checkpoint_of_another_bridge_is_refused(
    store: FileCheckpointStore, path: Path
) -> None:
    store.save(checkpoint(1))

    with pytest.raises(CheckpointUnusable, match="belongs to 'bridge', not to 'other'"):
        FileCheckpointStore(path, "other").load()


@pytest.mark.parametrize("is_default_name", [True, False])
def test_the_former_default_name_is_kept(
    store: FileCheckpointStore, path: Path, caplog: pytest.LogCaptureFixture, is_default_name: bool
) -> None:
    caplog.set_level("INFO", logger="bridge")
    stored = replace(checkpoint(1), name="job-bridge", namespace="db.jobs")
    store.save(stored)
    unnamed = FileCheckpointStore(path, "db.jobs", is_default_name=is_default_name)

    if is_default_name:
        assert unnamed.load() == unnamed.load() == stored
        assert unnamed.name == "job-bridge"
        (line,) = caplog.messages
        assert line.startswith("the checkpoint of db.jobs is 'job-bridge'")
    else:
        with pytest.raises(CheckpointUnusable):
            unnamed.load()


def test_the_former_name_of_other_jobs_is_refused(store: FileCheckpointStore, path: Path) -> None:
    store.save(replace(checkpoint(1), name="job-bridge", namespace="db.jobs"))
    unnamed = FileCheckpointStore(path, "db.pipelines", is_default_name=True)

    with pytest.raises(CheckpointUnusable, match=r"not to 'db\.pipelines'"):
        unnamed.load()


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        (errno.ENOSPC, Retryable),
        (errno.EIO, Retryable),
        (errno.EROFS, Misconfigured),
        (errno.EACCES, Misconfigured),
    ],
)
def test_a_full_disk_is_retried_unlike_wrong_paths(
    store: FileCheckpointStore,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    verdict: type[BridgeError],
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(BridgeError, match=os.strerror(number)) as caught:
        store.save(checkpoint(1))

    assert type(caught.value) is verdict


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    store = FileCheckpointStore(tmp_path / "nowhere" / "bridge.json", "bridge")

    with pytest.raises(Misconfigured, match="No such file or directory"):
        store.acquire()
    with pytest.raises(Misconfigured, match="No such file or directory"):
        store.check_rights()


def test_a_too_long_name_is_reported(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="File name too long"):
        FileCheckpointStore(tmp_path / ("x" * 300), "bridge").check_rights()


def test_the_owner_of_a_file_is_this_process(path: Path, store: FileCheckpointStore) -> None:
    us = process_text(this_process())
    known = store.ownership()

    assert known.owner is not None and known.owner.name == us
    assert known.owner.since is not None and abs(known.owner.since - time.time()) < 60
    assert known.is_us and known.standbys == ()
    assert FileCheckpointStore(path, "bridge").ownership() == Membership()
    store.release()
    assert store.ownership() == Membership()
