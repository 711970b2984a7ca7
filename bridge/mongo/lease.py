"""The lease of a checkpoint's document: acquiring, renewing and giving it back.

The owner counts its renewals in ``owner.renewals``; a standby takes over when ``owner``, ``epoch``
and ``renewed_at`` stay unchanged for the length of the lease on its own clock. A new owner raises
the epoch, and each write of an owner is conditional on owner and epoch. Older versions compare
``renewed_at`` with the server's clock.
"""

import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone

from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from bridge.clock import Clock
from bridge.errors import Fenced, Retryable
from bridge.model.membership import Member, Membership
from bridge.model.owner_process import this_process
from bridge.mongo.checkpoint_document import CLEARED, CheckpointDocument
from bridge.mongo.client import Document
from bridge.mongo.owner_watch import OwnerWatch

logger = logging.getLogger("bridge")

#: How often a write is tried while the document vanishes and comes back meanwhile.
_ATTEMPTS = 4


class Lease:
    """The lease of a document; its methods raise the errors of PyMongo.

    Args:
        collection: The collection of the checkpoints, with read and write concern ``majority``.
        name: The name of the checkpoint.
        where: The place of the document, as messages name it.
        lease_seconds: How long a standby watches an owner that does not renew.
        clock: Only its monotonic seconds are used.

    Attributes:
        epoch: The number of the ownership; 0 without it.
        known: The document as last read or written; it is stored again when it vanishes.
    """

    def __init__(
        self,
        collection: Collection[Document],
        name: str,
        where: str,
        *,
        lease_seconds: float,
        clock: Clock,
    ) -> None:
        self.epoch = 0
        self.known = CheckpointDocument({})
        self._collection = collection
        self._name = name
        self._where = where
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._watch = OwnerWatch(lease_seconds, clock)
        self._owner = this_process() | {"instance": secrets.token_hex(8)}
        #: When this process became the owner, in Unix seconds.
        self._since = 0.0
        #: When the server last confirmed the ownership, in monotonic seconds.
        self._confirmed = 0.0

    def acquire(self) -> str:
        """Try to become the owner; return ``""`` on success, else the present owner in words."""
        last = self.known
        document = self.read()
        if document is None:
            if last.is_owned and not self._watch.silent:
                return f"{last.owner_text} owned the checkpoint '{self._name}', which vanished"
            document = self._create()
        if document.instance == self._owner["instance"]:
            self.epoch = document.epoch
            self.renew()
            return ""
        acquired = None
        if self._watch.silent or not document.is_owned:
            acquired = self._take_over(document)
        if acquired is None:
            return f"{document.owner_text} owns the checkpoint '{self._name}' and renews it"
        self.known = acquired
        self.epoch = acquired.epoch
        return ""

    @property
    def membership(self) -> Membership:
        """The owner as last read or written; the standbys are not known."""
        document = self.known
        is_ours = document.instance == self._owner["instance"]
        if not document.is_owned or (is_ours and not self.epoch):
            return Membership()
        owner = Member(document.owner_text, document.owned_since)
        return Membership(owner, is_us=is_ours)

    def renew(self) -> None:
        """Renew the lease; raises ``Fenced`` if another bridge is the owner now."""
        self.update({})

    def release(self) -> None:
        """Give the lease back."""
        if self.epoch:
            owner = CLEARED if self.known.cleared else None
            with suppress(Fenced):
                self._update({"$set": {"owner": owner}})
        self.epoch = 0

    def update(self, operators: Mapping[str, Document], condition: Document | None = None) -> bool:
        """Update the document as its owner, which renews the lease.

        A document that vanished is stored again before.

        Returns:
            False if only ``condition`` did not match.

        Raises:
            Fenced: Another bridge is the owner now.
        """
        renewal = {"$currentDate": {"renewed_at": True}, "$inc": {"owner.renewals": 1}}
        return self._update({**renewal, **operators}, condition)

    def remove(self) -> None:
        """Remove the document, and end the ownership. Raises ``Fenced`` as ``update`` does."""
        if not (self.epoch and self._collection.delete_one(self._ours()).deleted_count):
            raise self._fenced()
        self.known = CheckpointDocument({})
        self.epoch = 0

    def remember(self, record: Document, *, cleared: bool = False) -> None:
        """Note the record that was stored."""
        owner = self._owned(cleared=cleared)
        self.known = CheckpointDocument({**record, "owner": owner, "epoch": self.epoch})

    def read(self) -> CheckpointDocument | None:
        """Read the document and watch its owner; None if it does not exist."""
        try:
            fields = self._collection.find_one({"_id": self._name})
        except PyMongoError:
            self._watch.restart()
            raise
        if fields is None:
            self._watch.observe(None)
            return None
        document = CheckpointDocument(fields)
        self._watch.observe(document.ownership)
        self.known = document
        return document

    def latest(self) -> CheckpointDocument | None:
        """Return the document as the primary has it, and as an update sees it."""
        latest = self._collection.with_options(read_concern=ReadConcern("local"))
        fields = latest.find_one({"_id": self._name})
        return None if fields is None else CheckpointDocument(fields)

    def _create(self) -> CheckpointDocument:
        """Create the document; after it vanished without its owner, with the last known record."""
        known = self.known
        owner = CLEARED if known.cleared else None
        fields = {"_id": self._name, "owner": owner, "epoch": known.epoch, **known.record}
        try:
            self._collection.insert_one(dict(fields))
        except DuplicateKeyError:
            return self.read() or CheckpointDocument(fields)
        if known.record:
            self._log_restored(known.epoch)
        return CheckpointDocument(fields)

    def _take_over(self, document: CheckpointDocument) -> CheckpointDocument | None:
        """Become the owner by a conditional write, which a single standby can win.

        Returns:
            The document afterwards; None if it is not the one that was read any more.
        """
        self._since = self._clock.now()
        ownership = {
            "owner": {"$literal": self._owned(cleared=document.cleared)},
            "epoch": {"$cond": [{"$isNumber": "$epoch"}, {"$add": ["$epoch", 1]}, 1]},
            "renewed_at": "$$NOW",
        }
        started = self._clock.monotonic()
        fields = self._collection.find_one_and_update(
            {"_id": self._name, **document.ownership},
            [{"$set": ownership}],
            return_document=ReturnDocument.AFTER,
        )
        self._confirmed = started
        return CheckpointDocument(fields) if fields else None

    def _owned(self, *, cleared: bool = False) -> Document:
        """Return the field ``owner`` of an ownership of this store."""
        owner = {**self._owner, "since": self._since, "renewals": 0}
        return owner | {"cleared": True} if cleared else owner

    def _update(self, update: Document, condition: Document | None = None) -> bool:
        if not self.epoch:
            raise self._fenced()
        for _ in range(_ATTEMPTS):
            started = self._clock.monotonic()
            query = self._ours() | (condition or {})
            if self._collection.update_one(query, update).matched_count:
                self._confirmed = started
                self._watch.restart()
                return True
            document = self.latest()
            if document is None or self._is_emptied(document):
                self._store_again(document)
            elif document.instance != self._owner["instance"] or not document.epoch:
                raise self._fenced()
            elif document.epoch == self.epoch:
                self._confirmed = started
                return False
            else:  # The document was stored again, and only the reply was lost.
                self.epoch = document.epoch
        raise Retryable(
            f"The checkpoint in {self._where} vanishes again and again",
            "Nothing is lost: the position is in memory",
            "Find the program that removes it",
            part="checkpoint",
        )

    def _ours(self) -> Document:
        """Return the query for the document under this ownership."""
        instance = self._owner["instance"]
        return {"_id": self._name, "owner.instance": instance, "epoch": self.epoch}

    def _is_emptied(self, document: CheckpointDocument) -> bool:
        """Whether the document vanished, and a bridge made it again that knows no position.

        Within our lease no other bridge may own it.
        """
        if document.record or document.cleared or not self.known.record:
            return False
        return document.owner is None or self._is_within_lease()

    def _is_within_lease(self) -> bool:
        """Whether no standby can have taken over yet, with a margin for slow replies."""
        return self._clock.monotonic() - self._confirmed < 0.75 * self._lease_seconds

    def _store_again(self, emptied: CheckpointDocument | None) -> None:
        """Store the last known record under a raised epoch, where no other bridge did so."""
        if not self._is_within_lease():
            self._leave_time_to_successor(emptied)
        epoch = max(self.epoch, emptied.epoch if emptied else 0) + 1
        fields: Document = {
            **self.known.record,
            "owner": self._owned(cleared=self.known.cleared),
            "epoch": epoch,
            # For standbys of older versions; the next renewal replaces it by the server's time.
            "renewed_at": datetime.now(timezone.utc),
        }
        try:
            if emptied is None:
                self._collection.insert_one({"_id": self._name, **fields})
            elif not self._collection.replace_one(emptied.fields, fields).matched_count:
                return
        except DuplicateKeyError:
            return  # The caller looks whose it is.
        self.epoch = epoch
        self._log_restored(epoch)

    def _leave_time_to_successor(self, emptied: CheckpointDocument | None) -> None:
        """Raise ``Retryable`` until a bridge that took over meanwhile had time to store it again.

        The ownership was not confirmed for about a lease.
        """
        self._watch.observe(emptied.ownership if emptied else None)
        if not self._watch.silent:
            raise Retryable(
                f"The checkpoint in {self._where} vanished while it was unreachable",
                "Nothing is lost: the position is in memory",
                f"It is stored again after {self._lease_seconds:g} s, "
                "unless another bridge took over and does so",
                part="checkpoint",
            )

    def _log_restored(self, epoch: int) -> None:
        logger.warning(
            "the checkpoint in %s vanished: something removed its document; it is stored again "
            "from memory with epoch %d, and nothing is lost or repeated",
            self._where,
            epoch,
        )

    def _fenced(self) -> Fenced:
        return Fenced(
            f"Another bridge took over the checkpoint '{self._name}'",
            "Nothing is lost: the new owner resumes from the last stored position; this "
            "bridge has saved nothing since",
            "If this was intended, do nothing; otherwise give each bridge its own checkpoint.name",
        )
