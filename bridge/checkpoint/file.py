"""The checkpoint as a JSON file, replaced atomically, with a lock for its owner."""

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

from bridge.errors import BridgeError, CheckpointUnusable, Fenced, Misconfigured, Retryable
from bridge.hints import Hint
from bridge.model.checkpoint import Checkpoint, checkpoint_of

#: A full or failing disk may recover; a wrong path will not.
_RETRYABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class FileCheckpointStore:
    """A named checkpoint; see :class:`bridge.pipeline.ports.CheckpointStore` for the contract.

    The lock is on ``FILE.lock``, because each save replaces the file itself. The system releases it
    when the process ends for any reason.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self.name = name
        self.where = str(path)
        self._lock: int | None = None
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """Grows with each change of owner; 0 before this process became the owner."""
        return self._epoch

    def acquire(self) -> str:
        """Take the lock; there is no standby with a file.

        Raises:
            Fenced: another process is the owner.
        """
        if self._lock is not None:
            return ""
        lock = self._open_lock()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Fenced(
                f"Another process owns the checkpoint file {self._path}",
                "Nothing was read or sent",
                "Stop the other process, or give this bridge a checkpoint.file of its own",
            ) from None
        self._lock = lock
        self._epoch = self._stored_epoch() + 1
        return ""

    def _stored_epoch(self) -> int:
        """Return the stored epoch; 0 for a damaged file, which ``replace`` repairs."""
        try:
            epoch = (self._read() or {}).get("epoch")
        except CheckpointUnusable:
            return 0
        return epoch if isinstance(epoch, int) else 0

    def load(self) -> Checkpoint | None:
        """Return the stored checkpoint; None if there is no file."""
        record = self._read()
        if record is None:
            return None
        checkpoint = checkpoint_of(record, self.where)
        if checkpoint.name != self.name:
            raise CheckpointUnusable(
                f"The checkpoint file {self._path} belongs to '{checkpoint.name}', "
                f"not to '{self.name}'",
                "Nothing was read or sent",
                "Correct checkpoint.name or checkpoint.file",
            )
        return checkpoint

    def save(self, checkpoint: Checkpoint) -> None:
        """Store durably: after a crash the file contains the old or the new checkpoint, whole.

        Raises:
            Fenced: this process does not have the lock.
        """
        self.renew()
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            with new.open("w") as file:
                json.dump({**checkpoint.record(), "epoch": self._epoch}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise self._unwritable(error) from None

    def renew(self) -> None:
        """Raise :class:`Fenced` without the lock; a lock needs no renewal."""
        if self._lock is None:
            raise Fenced(
                f"The checkpoint file {self._path} is not locked by this process",
                "Nothing was stored",
            )

    def release(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None
        self._epoch = 0

    def replace(self, checkpoint: Checkpoint | None) -> None:
        """Overwrite or (None) remove the checkpoint by hand, as the owner after ``acquire``."""
        self.renew()
        if self._path.exists() and not self._path.is_file():
            raise Misconfigured(
                f"{self._path} is not a file", "Nothing was changed", "Check checkpoint.file"
            )
        if checkpoint is None:
            self._path.unlink(missing_ok=True)
        else:
            self.save(checkpoint)

    def check_rights(self) -> None:
        """Raise :class:`Misconfigured` if the file cannot be written."""
        try:
            folder = self._path.absolute().parent
            folder.stat()
            where = self._path if self._path.exists() else folder
        except OSError as error:
            raise self._unwritable(error) from None
        if not os.access(where, os.W_OK) or not os.access(folder, os.W_OK):
            raise self._unwritable(PermissionError(13, "Permission denied"))

    def _open_lock(self) -> int:
        try:
            return os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unwritable(error) from None

    def _read(self) -> dict[str, Any] | None:
        try:
            record = json.loads(self._path.read_text())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unwritable(error) from None
        except (ValueError, RecursionError) as error:
            return self._damaged(str(error))
        return record if isinstance(record, dict) else self._damaged("it does not contain a record")

    def _damaged(self, why: str) -> dict[str, Any]:
        raise CheckpointUnusable(
            f"The checkpoint file {self._path} is damaged: {why}",
            "Nothing was read or sent",
            f"Restore a copy, or run '{Hint.TOKEN_SET_TIME}' with a time before the damage",
        ) from None

    def _unwritable(self, error: OSError) -> BridgeError:
        verdict = Retryable if error.errno in _RETRYABLE else Misconfigured
        return verdict(
            f"Cannot use the checkpoint file {self._path}: {error.strerror}",
            "Nothing is lost: the last stored position is unchanged",
            "Check checkpoint.file, its folder and the disk",
            part="checkpoint",
        )


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
