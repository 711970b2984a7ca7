"""The lock of a checkpoint file, on a second file with the suffix ``.lock``."""

import errno
import fcntl
import logging
import os
from pathlib import Path

from bridge.errors import BridgeError, Fenced, Misconfigured, Retryable

logger = logging.getLogger("bridge")

#: A full or failing disk may recover; a wrong path will not.
_RETRYABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
#: The answers of file systems without locks, such as some mounts of NFS, FUSE and 9p.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS)
#: How often to open the lock file while others remove it.
_ATTEMPTS = 10


class FileLock:
    """An exclusive lock that the system releases when the process ends.

    Args:
        checkpoint: The file that the lock protects, for messages.
        path: The file that is locked; None for ``checkpoint`` with the suffix ``.lock``.
    """

    def __init__(self, checkpoint: Path, path: Path | None = None) -> None:
        self._checkpoint = checkpoint
        self._path = path or Path(f"{checkpoint}.lock")
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object has locked a file, which may have been removed since."""
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            Fenced: another process has it.
            Misconfigured: the file system has no locks.
        """
        for _ in range(_ATTEMPTS):
            descriptor = self._open()
            if self._locks(descriptor):
                self.release()
                self._descriptor = descriptor
                return
        raise Retryable(
            f"The lock file {self._path} is removed again and again",
            "Nothing was stored",
            "Find the program that removes it",
            part="checkpoint",
        )

    def renew(self) -> bool:
        """Take the lock again if the locked file was removed or replaced; return whether it was.

        Raises:
            Fenced: another process has the lock.
        """
        if self._descriptor is None or self._is_current(self._descriptor):
            return False
        try:
            self.acquire()
        except Fenced:
            self.release()
            raise
        logger.warning(
            "the lock file %s vanished: something removed it; it is made and locked again",
            self._path,
        )
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def remove(self) -> None:
        """Remove the locked file, and then release the lock."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise unusable(self._checkpoint, error) from None
        self.release()

    def owner(self) -> str:
        """Return whether a process has the lock, in words; empty if none has it."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return "a process of this machine"
        finally:
            os.close(descriptor)
        return ""

    def _locks(self, descriptor: int) -> bool:
        """Lock an open file; close it and return False if the path leads to another one now."""
        current = False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            current = self._is_current(descriptor)
        except OSError as error:
            raise self._refusal(error) from None
        finally:
            if not current:
                os.close(descriptor)
        return current

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(self._checkpoint, error) from None

    def _is_current(self, descriptor: int) -> bool:
        """Whether the path still leads to the locked file; another process may lock a new one."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False
        except OSError as error:
            raise unusable(self._checkpoint, error) from None

    def _refusal(self, error: OSError) -> BridgeError:
        if isinstance(error, BlockingIOError):
            return Fenced(
                f"Another process owns the checkpoint file {self._checkpoint}",
                "Nothing was read or sent",
                "Stop the other process, or give this bridge a checkpoint.file of its own",
            )
        if error.errno in _NO_LOCKS:
            return Misconfigured(
                f"The file system of {self._checkpoint} has no locks ({error.strerror})",
                "Nothing was read or sent: without a lock two bridges could use the file",
                "Set checkpoint.file to a path on a local disk, or checkpoint.store = mongo",
            )
        return unusable(self._checkpoint, error)


def unusable(path: Path, error: OSError) -> BridgeError:
    """Return the bridge's error for an error of the file system."""
    verdict = Retryable if error.errno in _RETRYABLE else Misconfigured
    return verdict(
        f"Cannot use the checkpoint file {path}: {error.strerror}",
        "Nothing is lost: the last stored position is unchanged",
        "Check checkpoint.file, its folder and the disk",
        part="checkpoint",
    )
