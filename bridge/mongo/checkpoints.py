"""Checkpoints in a MongoDB collection, one document a name, with a lease that keeps a second bridge out.

The document is the checkpoint's record beside ``owner``, ``epoch`` and ``renewed_at`` (the
server's clock). Taking over raises the epoch; every save is one conditional write on it, so a
deposed bridge cannot save. All writes wait for the majority.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from pymongo import MongoClient, ReturnDocument
from pymongo.errors import ConfigurationError, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bridge.errors import (
    MONGODB_AWAY,
    Fenced,
    Misconfigured,
    NotPermitted,
    Retryable,
    is_lookup,
    is_refused,
    short,
)
from bridge.model.checkpoint import Checkpoint, checkpoint_of
from bridge.mongo.lease_owner import is_dead, this_process

COLLECTION = "job_bridge_checkpoints"

#: What the document holds beside the checkpoint.
_OWNERSHIP = frozenset({"_id", "owner", "epoch", "renewed_at"})
_UNAUTHORIZED = 13
_LONG_AGO = datetime.fromtimestamp(0, timezone.utc)


class MongoCheckpointStore:
    """One named checkpoint; see :class:`bridge.pipeline.ports.CheckpointStore` for the contract."""

    def __init__(
        self, client: MongoClient[dict[str, Any]], database: str, name: str, lease_seconds: float
    ) -> None:
        self._collection = client.get_database(database).get_collection(
            COLLECTION, write_concern=WriteConcern("majority"), read_concern=ReadConcern("majority")
        )
        self.name = name
        self.where = f"{database}.{COLLECTION} ({name})"
        self._lease_ms = int(lease_seconds * 1000)
        self._owner = this_process()
        self._epoch = 0

    def acquire(self) -> str:
        """Try to become the owner; ``""`` on success, else who is in the way."""
        with self._translated():
            document = self._find() or self._create()
            owner = document.get("owner")
            if self._epoch and owner == self._owner and document.get("epoch") == self._epoch:
                self.renew()
                return ""
            taken = self._take(document, at_once=not isinstance(owner, dict) or is_dead(owner))
            if taken is None:
                return f"{_who(owner)} owns the checkpoint '{self.name}' and renews it"
            self._epoch = int(taken["epoch"])
        return ""

    @property
    def epoch(self) -> int:
        """Grows with each change of owner; 0 before this process became one."""
        return self._epoch

    def load(self) -> Checkpoint | None:
        """The stored checkpoint; None when there is none yet."""
        with self._translated():
            document = self._find()
        return (
            checkpoint_of(document, self.where)
            if document and document.keys() - _OWNERSHIP
            else None
        )

    def save(self, checkpoint: Checkpoint) -> None:
        """Store; raises :class:`Fenced` when another bridge took over."""
        self._as_owner({**checkpoint.record(), "epoch": self._epoch})

    def renew(self) -> None:
        """Keep the lease; raises :class:`Fenced` when another bridge took over."""
        self._as_owner({})

    def release(self) -> None:
        """Give the lease back, so that a stand-in need not wait."""
        with self._translated():
            self._collection.update_one(self._mine(), {"$set": {"owner": None}})
        self._epoch = 0

    def replace(self, checkpoint: Checkpoint | None) -> None:
        """Overwrite or (None) remove the checkpoint by hand, as the owner after ``acquire``."""
        if checkpoint is not None:
            self.save(checkpoint)
            return
        self.renew()
        with self._translated():
            fields = dict.fromkeys((self._find() or {}).keys() - _OWNERSHIP, "")
            if fields:
                self._collection.update_one(self._mine(), {"$unset": fields})

    def check_rights(self) -> None:
        """Write nothing that matters: raises :class:`NotPermitted` when this user may not store."""
        with self._translated():
            self._collection.update_one(
                {"_id": f"{self.name}/check", "never": True}, {"$set": {"checked": True}}
            )

    def _find(self) -> dict[str, Any] | None:
        return self._collection.find_one({"_id": self.name})

    def _create(self) -> dict[str, Any]:
        document = {"_id": self.name, "owner": None, "epoch": 0}
        try:
            self._collection.insert_one(dict(document))
        except DuplicateKeyError:
            return self._find() or document
        return document

    def _take(self, seen: dict[str, Any], *, at_once: bool) -> dict[str, Any] | None:
        """One conditional write decides between newcomers; None when another one is the owner."""
        condition: dict[str, Any] = {
            "_id": self.name,
            "epoch": seen.get("epoch"),
            "owner": seen.get("owner"),
        }
        if not at_once:
            renewed = {
                "$cond": [{"$eq": [{"$type": "$renewed_at"}, "date"]}, "$renewed_at", _LONG_AGO]
            }
            silence = {"$subtract": ["$$NOW", renewed]}
            condition["$expr"] = {"$gt": [silence, self._lease_ms]}
        raised = {"$cond": [{"$isNumber": "$epoch"}, {"$add": ["$epoch", 1]}, 1]}
        update = [
            {"$set": {"owner": {"$literal": self._owner}, "epoch": raised, "renewed_at": "$$NOW"}}
        ]
        return self._collection.find_one_and_update(
            condition, update, return_document=ReturnDocument.AFTER
        )

    def _mine(self) -> dict[str, Any]:
        return {"_id": self.name, "owner": self._owner, "epoch": self._epoch}

    def _as_owner(self, fields: dict[str, Any]) -> None:
        update: dict[str, Any] = {"$currentDate": {"renewed_at": True}}
        if fields:
            update["$set"] = fields
        with self._translated():
            matched = self._collection.update_one(self._mine(), update).matched_count
        if not matched:
            raise Fenced(
                f"Another bridge took over the checkpoint '{self.name}'",
                "Nothing is lost: the other one goes on from the last stored position; this one saved nothing since",
                "Nothing to do when that was intended; else give each bridge a checkpoint.name of its own",
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PyMongoError as error:
            text = short(error)
            if is_refused(error):
                known = isinstance(error, OperationFailure) and error.code == _UNAUTHORIZED
                raise NotPermitted(
                    f"MongoDB does not let this user keep the checkpoint in {self.where}: {text}",
                    "Nothing was sent since the last stored position",
                    "Grant find, insert and update on that collection"
                    if known
                    else "Check user, password and authSource",
                    part="checkpoint",
                ) from None
            if isinstance(error, ConfigurationError) and not is_lookup(error):
                raise Misconfigured(
                    f"The MongoDB settings do not work: {text}",
                    "Nothing was read or sent",
                    "Correct mongo.uri",
                ) from None
            raise Retryable(
                f"The checkpoint in {self.where} is out of reach: {text}",
                "Nothing is lost: the bridge goes on from the last settled position",
                MONGODB_AWAY,
                part="checkpoint",
            ) from error


def _who(owner: Any) -> str:
    if not isinstance(owner, dict):
        return "another bridge"
    return f"the bridge with process {owner.get('pid')} on {str(owner.get('host')).split('/')[0]}"
