"""The checkpoint as a JSON file, replaced atomically, with a lock for its owner."""

import json
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge.checkpoint.file_lock import FileLock, unusable
from bridge.checkpoint.folder_sync import sync_folder
from bridge.errors import CheckpointUnusable, Fenced, Misconfigured
from bridge.hints import Hint
from bridge.model.checkpoint import Checkpoint, checkpoint_of
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.model.checkpoint_name import FORMER_DEFAULT, former_default_note
from bridge.model.membership import Member, Membership
from bridge.model.owner_process import process_text, this_process
from bridge.model.stored_count import stored_count

logger = logging.getLogger("bridge")


class FileCheckpointStore:
    """A named checkpoint; see :class:`bridge.pipeline.ports.CheckpointStore` for the contract.

    The lock is on ``FILE.lock``, because each save replaces the file itself. The system releases it
    when the process ends for any reason.

    Args:
        path: The file.
        name: The name of the checkpoint.
        is_default_name: Whether ``name`` is the namespace of the collection, because the settings
            give no name. The checkpoint may then have the default name of earlier versions.
    """

    def __init__(self, path: Path, name: str, *, is_default_name: bool = False) -> None:
        self._path = path
        self._may_have_former_name = is_default_name
        self.name = name
        self.where = str(path)
        self._lock = FileLock(path)
        self._epoch = 0
        self._owned_since = 0.0
        #: The record as last read or written; empty before the first, and after damage.
        self._known: dict[str, Any] = {}

    @property
    def epoch(self) -> int:
        """Grows with each change of owner; 0 before this process became the owner."""
        return self._epoch

    @property
    def cleared(self) -> bool:
        """Whether the checkpoint was removed on purpose, as last read."""
        return _is_cleared(self._known)

    def acquire(self) -> str:
        """Take the lock; there is no standby with a file.

        Raises:
            Fenced: another process is the owner.
        """
        if self._lock.held:
            self.renew()
            return ""
        self._lock.acquire()
        self._epoch = self._stored_epoch() + 1
        self._owned_since = time.time()
        return ""

    def _stored_epoch(self) -> int:
        """Return the stored epoch; 0 for a damaged file, which ``replace`` repairs."""
        return stored_count((self._readable() or {}).get("epoch")) or 0

    def load(self) -> Checkpoint | None:
        """Return the stored checkpoint; None if there is no file, or it was removed on purpose."""
        record = self._read()
        if record is None and self._lock.held and self._known:
            self.renew()
            record = self._read()
        if record is None or _is_cleared(record):
            return None
        checkpoint = checkpoint_of(record, self.where)
        self._find_name(checkpoint)
        if checkpoint.name != self.name:
            raise CheckpointUnusable(
                f"The checkpoint file {self._path} belongs to '{checkpoint.name}', "
                f"not to '{self.name}'",
                "Nothing was read or sent",
                "Correct checkpoint.name or checkpoint.file",
            )
        return checkpoint

    def _find_name(self, checkpoint: Checkpoint) -> None:
        """Use the former default name if this collection's checkpoint has it."""
        is_former = checkpoint.name == FORMER_DEFAULT and checkpoint.namespace == self.name
        if self._may_have_former_name and is_former:
            logger.info("%s", former_default_note(self.name))
            self.name = FORMER_DEFAULT

    def save(self, checkpoint: Checkpoint) -> None:
        """Store durably: after a crash the file contains the old or the new checkpoint, whole.

        Raises:
            Fenced: this process does not have the lock.
        """
        self.renew()
        stored = stored_count(self._known.get("sequence"))
        if stored is None or checkpoint.sequence > stored:
            self._write(checkpoint.record())

    def renew(self) -> None:
        """Look whether the lock and the file still exist, and make them again if not.

        Raises:
            Fenced: this process does not have the lock, or another took it.
        """
        if not self._lock.held:
            raise Fenced(
                f"The checkpoint file {self._path} is not locked by this process",
                "Nothing was stored",
            )
        if self._lock.renew():
            self._refuse_later_owner()
        if self._known and self._is_missing():
            self._write(self._known)
            logger.warning(
                "the checkpoint file %s vanished: something removed it; it is written again from "
                "memory, and nothing is lost or repeated",
                self._path,
            )

    def release(self) -> None:
        """Release the lock; a file that vanished is written again before."""
        if self._lock.held:
            with suppress(Fenced):
                self.renew()
        self._lock.release()
        self._epoch = 0

    def replace(self, checkpoint: Checkpoint | None) -> None:
        """Overwrite or (None) remove the checkpoint by hand, as the owner after ``acquire``.

        The stored sequence is continued, so that the position may move back. A record that says so
        stays in the place of a removed checkpoint.
        """
        self.renew()
        if self._path.exists() and not self._path.is_file():
            raise Misconfigured(
                f"{self._path} is not a file", "Nothing was changed", "Check checkpoint.file"
            )
        if checkpoint is None:
            self._write({"cleared": True, "name": self.name})
            return
        stored = stored_count((self._readable() or {}).get("sequence"))
        if stored is not None and checkpoint.sequence <= stored:
            checkpoint = replace(checkpoint, sequence=stored + 1)
        self._write(checkpoint.record())

    def remove(self) -> None:
        """Remove the file and the lock, as their owner."""
        self.renew()
        self._known = {}
        try:
            self._path.unlink(missing_ok=True)
            sync_folder(self._path.absolute().parent)
        except OSError as error:
            raise unusable(self._path, error) from None
        self._lock.remove()
        self._epoch = 0

    def entries(self) -> Sequence[CheckpointEntry]:
        """Return the checkpoint in the file, whatever its name; empty if there is no file."""
        try:
            record = self._read()
        except CheckpointUnusable as error:
            return [CheckpointEntry(self.name, None, self._lock.owner(), error.what)]
        if record is None:
            return []
        name, owner = str(record.get("name")), self._lock.owner()
        if _is_cleared(record):
            return [CheckpointEntry(name, None, owner)]
        try:
            return [CheckpointEntry(name, checkpoint_of(record, self.where), owner)]
        except CheckpointUnusable as error:
            return [CheckpointEntry(name, None, owner, error.what)]

    def ownership(self) -> Membership:
        """Return this process as the owner; there are no standbys with a file."""
        if not self._epoch:
            return Membership()
        return Membership(Member(process_text(this_process()), self._owned_since), is_us=True)

    def check_rights(self) -> None:
        """Try a lock and a sync of the folder; leaves nothing there.

        Raises:
            Misconfigured: the file cannot be written, or its file system has no locks.
        """
        try:
            folder = self._path.absolute().parent
            folder.stat()
            where = self._path if self._path.exists() else folder
        except OSError as error:
            raise unusable(self._path, error) from None
        if not os.access(where, os.W_OK) or not os.access(folder, os.W_OK):
            raise unusable(self._path, PermissionError(13, "Permission denied"))
        trial = Path(f"{self._path}.test")
        lock = FileLock(self._path, trial)
        try:
            with suppress(Fenced):  # Another check; locks work.
                lock.acquire()
            sync_folder(folder)
        except OSError as error:
            raise unusable(self._path, error) from None
        finally:
            lock.release()
            with suppress(OSError):
                trial.unlink()

    def _refuse_later_owner(self) -> None:
        """Raise ``Fenced`` if another process owned the file while the lock was gone."""
        if self._stored_epoch() > self._epoch:
            self._lock.release()
            raise Fenced(
                f"Another process took over the checkpoint file {self._path}",
                "Nothing is lost: it resumed from the last stored position",
                "Give each bridge a checkpoint.file of its own; nothing may remove the lock file",
            )

    def _is_missing(self) -> bool:
        try:
            return not self._path.exists()
        except OSError as error:
            raise unusable(self._path, error) from None

    def _write(self, record: dict[str, Any]) -> None:
        """Replace the file by one with this record and the epoch of this owner."""
        record = {**record, "epoch": self._epoch}
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            with new.open("w") as file:
                json.dump(record, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise unusable(self._path, error) from None
        self._known = record

    def _readable(self) -> dict[str, Any] | None:
        """Return the record; None if there is no file, or it is damaged."""
        try:
            return self._read()
        except CheckpointUnusable:
            return None

    def _read(self) -> dict[str, Any] | None:
        try:
            record = json.loads(self._path.read_text())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unusable(self._path, error) from None
        except (ValueError, RecursionError) as error:
            return self._damaged(str(error))
        if not isinstance(record, dict):
            return self._damaged("it does not contain a record")
        self._known = record
        return record

    def _damaged(self, why: str) -> dict[str, Any]:
        self._known = {}
        raise CheckpointUnusable(
            f"The checkpoint file {self._path} is damaged: {why}",
            "Nothing was read or sent",
            f"Restore a copy, or run '{Hint.TOKEN_SET_TIME}' with a time before the damage",
        ) from None


def _is_cleared(record: dict[str, Any]) -> bool:
    """Whether the record says that the checkpoint was removed on purpose."""
    return record.get("cleared") is True and "format" not in record
