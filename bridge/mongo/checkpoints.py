"""Checkpoints in a MongoDB collection, a document per name, each with a lease.

Beside the checkpoint the document contains ``owner``, ``epoch`` and ``renewed_at`` (the server's
clock). A new owner raises the epoch, and each save is a conditional write on it, so a former owner
cannot save. All writes wait for the majority.
"""

from datetime import datetime, timezone
from typing import Any

from pymongo import MongoClient, ReturnDocument
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bridge.errors import Fenced
from bridge.model.checkpoint import Checkpoint, checkpoint_of
from bridge.mongo.client import Document
from bridge.mongo.errors import checkpoint_area, translated
from bridge.mongo.lease_owner import is_dead, this_process

COLLECTION = "job_bridge_checkpoints"

#: The fields of the document that are not part of the checkpoint.
_OWNERSHIP = frozenset({"_id", "owner", "epoch", "renewed_at"})
_LONG_AGO = datetime.fromtimestamp(0, timezone.utc)


class MongoCheckpointStore:
    """A named checkpoint; see :class:`bridge.pipeline.ports.CheckpointStore` for the contract."""

    def __init__(
        self, client: MongoClient[Document], database: str, name: str, *, lease_seconds: float
    ) -> None:
        self._collection = client.get_database(database).get_collection(
            COLLECTION, write_concern=WriteConcern("majority"), read_concern=ReadConcern("majority")
        )
        self.name = name
        self.where = f"{database}.{COLLECTION} ({name})"
        self._area = checkpoint_area(self.where)
        self._lease_ms = int(lease_seconds * 1000)
        self._owner = this_process()
        self._epoch = 0

    def acquire(self) -> str:
        """Try to become the owner; return ``""`` on success, else the reason why not."""
        with translated(self._area):
            document = self._read() or self._create()
            owner = document.get("owner")
            if self._epoch and owner == self._owner and document.get("epoch") == self._epoch:
                self.renew()
                return ""
            expired = not isinstance(owner, dict) or is_dead(owner)
            acquired = self._take_over(document, expired=expired)
            if acquired is None:
                return f"{_describe(owner)} owns the checkpoint '{self.name}' and renews it"
            self._epoch = int(acquired["epoch"])
        return ""

    @property
    def epoch(self) -> int:
        """Grows with each change of owner; 0 before this process became the owner."""
        return self._epoch

    def load(self) -> Checkpoint | None:
        """Return the stored checkpoint; None before the first save."""
        with translated(self._area):
            document = self._read()
        if not document or not document.keys() - _OWNERSHIP:
            return None
        return checkpoint_of(document, self.where)

    def save(self, checkpoint: Checkpoint) -> None:
        """Store the checkpoint; raises :class:`Fenced` if another bridge is the owner now."""
        self._update_as_owner({**checkpoint.record(), "epoch": self._epoch})

    def renew(self) -> None:
        """Renew the lease; raises :class:`Fenced` if another bridge is the owner now."""
        self._update_as_owner({})

    def release(self) -> None:
        """Give the lease back, so that a standby need not wait until it expires."""
        with translated(self._area):
            self._collection.update_one(self._ownership(), {"$set": {"owner": None}})
        self._epoch = 0

    def replace(self, checkpoint: Checkpoint | None) -> None:
        """Overwrite or (None) remove the checkpoint by hand, as the owner after ``acquire``."""
        if checkpoint is not None:
            self.save(checkpoint)
            return
        self.renew()
        with translated(self._area):
            fields = dict.fromkeys((self._read() or {}).keys() - _OWNERSHIP, "")
            if fields:
                self._collection.update_one(self._ownership(), {"$unset": fields})

    def check_rights(self) -> None:
        """Raise :class:`NotPermitted` if this user may not store a checkpoint; changes nothing."""
        with translated(self._area):
            self._collection.update_one(
                {"_id": f"{self.name}/check", "never": True}, {"$set": {"checked": True}}
            )

    def _read(self) -> Document | None:
        return self._collection.find_one({"_id": self.name})

    def _create(self) -> Document:
        document = {"_id": self.name, "owner": None, "epoch": 0}
        try:
            self._collection.insert_one(dict(document))
        except DuplicateKeyError:
            return self._read() or document
        return document

    def _take_over(self, document: Document, *, expired: bool) -> Document | None:
        """Become the owner by a conditional write, which a single standby can win.

        Returns:
            The document afterwards; None if another bridge is the owner.
        """
        condition: Document = {
            "_id": self.name,
            "epoch": document.get("epoch"),
            "owner": document.get("owner"),
        }
        if not expired:
            renewed = {
                "$cond": [{"$eq": [{"$type": "$renewed_at"}, "date"]}, "$renewed_at", _LONG_AGO]
            }
            silence = {"$subtract": ["$$NOW", renewed]}
            condition["$expr"] = {"$gt": [silence, self._lease_ms]}
        next_epoch = {"$cond": [{"$isNumber": "$epoch"}, {"$add": ["$epoch", 1]}, 1]}
        ownership = {
            "owner": {"$literal": self._owner},
            "epoch": next_epoch,
            "renewed_at": "$$NOW",
        }
        return self._collection.find_one_and_update(
            condition, [{"$set": ownership}], return_document=ReturnDocument.AFTER
        )

    def _ownership(self) -> Document:
        """The query that matches the document only while this process is its owner."""
        return {"_id": self.name, "owner": self._owner, "epoch": self._epoch}

    def _update_as_owner(self, fields: Document) -> None:
        update: Document = {"$currentDate": {"renewed_at": True}}
        if fields:
            update["$set"] = fields
        with translated(self._area):
            matched = self._collection.update_one(self._ownership(), update).matched_count
        if not matched:
            raise Fenced(
                f"Another bridge took over the checkpoint '{self.name}'",
                "Nothing is lost: the new owner resumes from the last stored position; this "
                "bridge has saved nothing since",
                "If this was intended, do nothing; "
                "otherwise give each bridge its own checkpoint.name",
            )


def _describe(owner: Any) -> str:
    if not isinstance(owner, dict):
        return "another bridge"
    return f"the bridge with process {owner.get('pid')} on {str(owner.get('host')).split('/')[0]}"
