"""The ownership of a checkpoint, from acquiring it to giving it back."""

import logging
import threading
from contextlib import suppress
from typing import NamedTuple

from bridge.app.starting_point import Start
from bridge.errors import (
    BridgeError,
    CheckpointUnusable,
    Fenced,
    Misconfigured,
    NotPermitted,
    Retryable,
)
from bridge.model.cluster_identity import admit_namespace
from bridge.pipeline.ports import CheckpointStore
from bridge.pipeline.progress import Progress

logger = logging.getLogger("bridge")

#: How long a stop waits for an ``acquire`` that waits for a server.
_ACQUIRING_SECONDS = 1.0


class OwnedCheckpoint(NamedTuple):
    """A checkpoint that this bridge owns, once its content is known."""

    start: Start
    progress: Progress


class Ownership:
    """Keeps the checkpoint owned, before and after its content is known.

    ``acquire`` may run on another thread; meanwhile ``keep`` and ``give_back`` do not use the
    store.

    Args:
        store: The store of the checkpoint.
        namespace: The collection that this bridge reads.

    Attributes:
        owned: The checkpoint with its content; None while the position is not known.
    """

    def __init__(self, store: CheckpointStore, namespace: str) -> None:
        self.owned: OwnedCheckpoint | None = None
        self._store = store
        self._namespace = namespace
        #: Held by the thread that uses the store.
        self._using = threading.Lock()

    @property
    def progress(self) -> Progress | None:
        """The writer of the checkpoint; None while the position is not known."""
        owned = self.owned
        return owned.progress if owned else None

    def start(self, start: Start, progress: Progress) -> OwnedCheckpoint:
        """Note the content of the checkpoint."""
        self.owned = OwnedCheckpoint(start, progress)
        return self.owned

    def forget_position(self) -> None:
        """Note that the position is not known any more; the checkpoint is read again."""
        if self.progress is not None:
            self.progress.abandon()
        self.owned = None

    def acquire(self) -> str:
        """Become or stay the owner; return the present owner in words, or an empty text.

        Raises the errors of the store; ``Fenced`` when another owns a checkpoint that was ours;
        ``CheckpointUnusable`` when it belongs to another collection.
        """
        with self._using:
            if self.progress is not None:
                self.progress.renew()
                return ""
            self._refuse_other_collection()
            return self._store.acquire()

    def _refuse_other_collection(self) -> None:
        """Raise ``CheckpointUnusable`` rather than wait for a position of another collection."""
        stored = None
        with suppress(CheckpointUnusable):  # damage is for the owner to report
            stored = self._store.load()
        if stored is not None:
            admit_namespace(stored, self._namespace)

    def keep(self) -> None:
        """Renew the ownership when that is due. Raises the errors of the store."""
        if not self._using.acquire(blocking=False):
            return
        try:
            if self.progress is not None:
                self.progress.keep()
            elif self._store.epoch:
                self._store.renew()
        finally:
            self._using.release()

    def give_back(self, side: str) -> BridgeError | None:
        """Store the settled position and give the checkpoint back.

        Args:
            side: The server or the file that has the checkpoint, for a message.

        Returns:
            The error that kept the position from being stored; None when it is stored.
        """
        if not self._using.acquire(timeout=_ACQUIRING_SECONDS):
            # The store does not answer. Without a position in memory there is nothing to store.
            if self.progress is None:
                return None
            return self._unstored(Retryable(f"{side} does not answer"))
        try:
            if self.progress is not None:
                self.progress.save()
            with suppress(
                Retryable, NotPermitted, Misconfigured
            ):  # a standby waits for the end of the lease
                # A standby leaves too: it may be a member of a group.
                self._store.release()
        except Fenced as error:
            return error
        except BridgeError as error:
            return self._unstored(error)
        finally:
            self._using.release()
        return None

    def _unstored(self, error: BridgeError) -> BridgeError:
        logger.warning(
            "stopped without storing the position: %s; "
            "the next start resumes from the last checkpoint",
            error,
        )
        return error
