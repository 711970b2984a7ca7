"""Checkpoints in a MongoDB collection, a document per name, each with a lease.

A save is conditional on the owner, on the epoch and on a growing sequence. All writes wait for the
majority.
"""

from collections.abc import Sequence
from dataclasses import replace

from pymongo import ASCENDING, MongoClient
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bridge.clock import Clock, SystemClock
from bridge.errors import CheckpointUnusable
from bridge.hints import Hint
from bridge.model.checkpoint import Checkpoint, checkpoint_of
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.mongo.checkpoint_document import CheckpointDocument
from bridge.mongo.client import Document
from bridge.mongo.errors import checkpoint_area, translated
from bridge.mongo.lease import Lease

COLLECTION = "job_bridge_checkpoints"


class MongoCheckpointStore:
    """A named checkpoint; see :class:`bridge.pipeline.ports.CheckpointStore` for the contract."""

    def __init__(
        self,
        client: MongoClient[Document],
        database: str,
        name: str,
        *,
        lease_seconds: float,
        clock: Clock | None = None,
    ) -> None:
        self._collection = client.get_database(database).get_collection(
            COLLECTION, write_concern=WriteConcern("majority"), read_concern=ReadConcern("majority")
        )
        self.name = name
        self.where = f"{database}.{COLLECTION} ({name})"
        self._area = checkpoint_area(self.where)
        self._lease = Lease(
            self._collection,
            name,
            self.where,
            lease_seconds=lease_seconds,
            clock=clock or SystemClock(),
        )
        #: The highest sequence that was loaded, or that this store tried to save.
        self._sequence = 0

    def acquire(self) -> str:
        """Try to become the owner; return ``""`` on success, else the reason why not."""
        with translated(self._area):
            return self._lease.acquire()

    @property
    def epoch(self) -> int:
        """Grows with each change of owner; 0 before this process became the owner."""
        return self._lease.epoch

    @property
    def cleared(self) -> bool:
        """Whether the checkpoint was removed on purpose, as last read."""
        return self._lease.known.cleared

    def load(self) -> Checkpoint | None:
        """Return the stored checkpoint; None before the first save."""
        lease = self._lease
        with translated(self._area):
            document = lease.read()
            if document is None and lease.epoch and lease.known.record:
                lease.renew()  # It vanished; this stores it again.
                document = lease.read()
        if document is None or not document.record:
            return None
        self._sequence = max(self._sequence, document.sequence or 0)
        return checkpoint_of(document.fields, self.where)

    def save(self, checkpoint: Checkpoint) -> None:
        """Store the checkpoint, unless a later one is stored.

        Raises:
            Fenced: Another bridge is the owner now.
        """
        self._sequence = max(self._sequence, checkpoint.sequence)
        # A damaged sequence does not keep a save out.
        later = {"sequence": {"$not": {"$gte": checkpoint.sequence}}}
        if not self._save(checkpoint, later):
            self._refuse_unknown_sequence()

    def renew(self) -> None:
        """Renew the lease; raises :class:`Fenced` if another bridge is the owner now."""
        with translated(self._area):
            self._lease.renew()

    def release(self) -> None:
        """Give the lease back, so that a standby need not wait until it expires."""
        with translated(self._area):
            self._lease.release()

    def replace(self, checkpoint: Checkpoint | None) -> None:
        """Overwrite or (None) remove the checkpoint by hand, as the owner after ``acquire``.

        The stored sequence is continued, so that the position may move back.
        """
        with translated(self._area):
            stored = self._lease.read() or self._lease.known
        if checkpoint is None:
            self._clear(stored)
            return
        if stored.sequence is not None and checkpoint.sequence <= stored.sequence:
            checkpoint = replace(checkpoint, sequence=stored.sequence + 1)
        self._sequence = checkpoint.sequence
        self._save(checkpoint)

    def entries(self) -> Sequence[CheckpointEntry]:
        """Return the checkpoints of all names in this collection."""
        with translated(self._area):
            documents = list(self._collection.find({}, sort=[("_id", ASCENDING)]))
        return [CheckpointDocument(document).entry(self.where) for document in documents]

    def check_rights(self) -> None:
        """Raise :class:`NotPermitted` if this user may not store a checkpoint; changes nothing."""
        with translated(self._area):
            self._collection.update_one(
                {"_id": f"{self.name}/check", "never": True}, {"$set": {"checked": True}}
            )

    def _save(self, checkpoint: Checkpoint, condition: Document | None = None) -> bool:
        """Store the checkpoint; return False if only ``condition`` did not match."""
        record = checkpoint.record()
        # The document's epoch is that of its owner.
        fields = {name: value for name, value in record.items() if name != "epoch"}
        update: dict[str, Document] = {"$set": fields, "$unset": {"owner.cleared": ""}}
        with translated(self._area):
            stored = self._lease.update(update, condition)
        if stored:
            self._lease.remember(record)
        return stored

    def _clear(self, stored: CheckpointDocument) -> None:
        update: dict[str, Document] = {"$set": {"owner.cleared": True}}
        if fields := dict.fromkeys(stored.record, ""):
            update["$unset"] = fields
        with translated(self._area):
            self._lease.update(update)
        self._lease.remember({}, cleared=True)

    def _refuse_unknown_sequence(self) -> None:
        """Raise ``CheckpointUnusable`` for a later save than this bridge has made."""
        with translated(self._area):
            stored = self._lease.latest()
        if stored and (stored.sequence or 0) > self._sequence:
            raise CheckpointUnusable(
                f"The checkpoint in {self.where} has sequence {stored.sequence}, but its owner, "
                f"this bridge, stored {self._sequence} last",
                "Nothing is lost: the stored position is unchanged",
                "Find the program that wrote there, then run "
                f"'{Hint.TOKEN_SET_TIME}' with the time of the last delivered transition",
            )
