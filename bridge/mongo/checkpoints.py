"""Checkpoints in a MongoDB collection, a document per name, each with a lease.

A save is conditional on the owner, on the epoch and on a growing sequence. All writes wait for the
majority.
"""

import logging
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
from bridge.model.checkpoint_name import FORMER_DEFAULT, former_default_note, stored_name
from bridge.model.membership import Membership
from bridge.mongo.checkpoint_document import CheckpointDocument
from bridge.mongo.client import Document
from bridge.mongo.errors import checkpoint_area, translated
from bridge.mongo.lease import Lease

logger = logging.getLogger("bridge")

COLLECTION = "job_bridge_checkpoints"


class MongoCheckpointStore:
    """A named checkpoint; see :class:`bridge.pipeline.ports.CheckpointStore` for the contract.

    Args:
        client: The client, which stays with the caller.
        database: The database of the checkpoints.
        name: The name of the checkpoint.
        lease_seconds: The time without a renewal after which a standby takes over.
        clock: Measures the lease.
        is_default_name: Whether ``name`` is the namespace of the collection, because the settings
            give no name. The checkpoint may then have the default name of earlier versions.
    """

    def __init__(
        self,
        client: MongoClient[Document],
        database: str,
        name: str,
        *,
        lease_seconds: float,
        clock: Clock | None = None,
        is_default_name: bool = False,
    ) -> None:
        self._collection = client.get_database(database).get_collection(
            COLLECTION, write_concern=WriteConcern("majority"), read_concern=ReadConcern("majority")
        )
        self._database = database
        self._lease_seconds = lease_seconds
        self._clock = clock or SystemClock()
        self._use(name)
        self._may_have_former_name = is_default_name
        #: The highest sequence that was loaded, or that this store tried to save.
        self._sequence = 0

    def _use(self, name: str) -> None:
        self.name = name
        self.where = self._where(name)
        self._area = checkpoint_area(self.where)
        self._lease = Lease(
            self._collection,
            name,
            self.where,
            lease_seconds=self._lease_seconds,
            clock=self._clock,
        )

    def _where(self, name: str) -> str:
        return f"{self._database}.{COLLECTION} ({name})"

    def _find_name(self) -> None:
        """Use the former default name where the checkpoint has it; asks the server once."""
        if not self._may_have_former_name:
            return
        namespace = self.name
        if stored_name(self._entries(FORMER_DEFAULT, namespace), namespace) != namespace:
            self._use(FORMER_DEFAULT)
            logger.info("%s", former_default_note(namespace))
        self._may_have_former_name = False

    def acquire(self) -> str:
        """Try to become the owner; return ``""`` on success, else the reason why not."""
        self._find_name()
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
        self._find_name()
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

    def remove(self) -> None:
        """Remove the document, as its owner after ``acquire``."""
        area = self._area._replace(
            refused=f"MongoDB does not let this user remove the checkpoint in {self.where}",
            grant="Give this command a user who may remove documents there; a bridge need not",
            since_refusal="The checkpoint is unchanged",
        )
        with translated(area):
            self._lease.remove()

    def entries(self) -> Sequence[CheckpointEntry]:
        """Return the checkpoints of all names in this collection."""
        return self._entries()

    def _entries(self, *names: str) -> Sequence[CheckpointEntry]:
        query = {"_id": {"$in": [*names]}} if names else {}
        with translated(self._area):
            documents = list(self._collection.find(query, sort=[("_id", ASCENDING)]))
        return [
            CheckpointDocument(document).entry(self._where(document["_id"]))
            for document in documents
        ]

    def ownership(self) -> Membership:
        """Return the owner as last read or written; asks nothing, and knows no standbys."""
        return self._lease.membership

    def check_rights(self) -> None:
        """Raise :class:`NotPermitted` if this user may not store a checkpoint; changes nothing."""
        self._find_name()
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
