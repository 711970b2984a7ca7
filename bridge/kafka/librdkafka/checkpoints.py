"""Checkpoints as records of a compacted Kafka topic, stored by transactions under fixed ids.

- A consumer group decides which bridge works (``group_ownership``). Safety does not depend on it:
  a bridge can commit only until another opens the producer of its transactional ids, and it reads
  the position after it has opened them (``init_transactions``, KIP-98).
- A producer that failed is discarded. Its last transaction may be committed or not, so the position
  is read again after a new producer is open.
- In mode exactly-once a sink sends through the store's producer, and a record becomes part of a
  transaction with messages. In other modes each record is a transaction of its own.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from bridge.errors import BridgeError
from bridge.kafka.librdkafka.client import make_latest_warning
from bridge.kafka.librdkafka.group_ownership import GroupOwnership
from bridge.kafka.librdkafka.replaceable_admin import ReplaceableAdmin
from bridge.kafka.librdkafka.state_access import check_state_rights, entries_of
from bridge.kafka.librdkafka.state_topic import StateTopic
from bridge.kafka.librdkafka.state_writer import StateWriter
from bridge.kafka.librdkafka.transactional_producer import TransactionalProducer
from bridge.kafka.librdkafka.transactional_sink import TransactionalSink
from bridge.kafka.state_errors import (
    fenced_error,
    missing_position_error,
    not_owned_error,
    reread_error,
)
from bridge.kafka.topics import state_topic_of
from bridge.model.checkpoint import Checkpoint
from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.model.membership import Membership
from bridge.settings import Settings


class KafkaCheckpointStore:
    """A named checkpoint; see :class:`bridge.pipeline.ports.CheckpointStore` for the contract.

    Args:
        settings: The connection, the topic and the name of the checkpoint.
        dead_letter_topic: The topic of the dead letters; None if nothing is dead-lettered.
    """

    def __init__(self, settings: Settings, dead_letter_topic: str | None) -> None:
        self.name = settings.checkpoint.name
        self.topic = state_topic_of(settings.kafka.topic)
        self.where = f"the topic {self.topic} ({self.name})"
        self._settings = settings
        latest_warning = make_latest_warning()
        self._admin = ReplaceableAdmin(settings, latest_warning)
        parts: dict[str, Any] = {"admin": self._admin, "latest_warning": latest_warning}
        self._ownership = GroupOwnership(settings, self.topic, self.name, **parts)
        self.transactional_id = self._ownership.group_id
        self._reader = StateTopic(settings, self.topic, self._ownership.group_id, **parts)
        self._writer = StateWriter(
            settings,
            dead_letter_topic,
            self._reader,
            transactional_id=self.transactional_id,
            latest_warning=latest_warning,
        )
        #: Whether a sink sends through the producer, so that after a failure of the producer the
        #: position must be read again.
        self._has_sink = False

    @property
    def epoch(self) -> int:
        """Grows with each change of owner; 0 before this process became the owner."""
        return self._writer.epoch

    @property
    def cleared(self) -> bool:
        """Whether the checkpoint was removed on purpose, as last read."""
        return self._writer.known.cleared

    @property
    def producer(self) -> TransactionalProducer:
        """The open producer of this ownership.

        Raises:
            Retryable: It failed and was discarded; ``acquire`` opens another.
        """
        return self._writer.producer

    def sink(
        self, settings: Settings, dead_letter_topic: str | None, wake: threading.Event
    ) -> TransactionalSink:
        """Return a sink whose messages are in the transactions of this store."""
        self._has_sink = True
        return TransactionalSink(settings, dead_letter_topic, wake, store=self)

    def acquire(self) -> str:
        """Become the owner: of the group's partition, then of the transactional id.

        While another bridge is the owner it returns within half a second. Otherwise it waits for
        the group for up to 10 s, for the producer, and for the end of foreign transactions in the
        state topic for up to 30 s.

        Raises:
            Fenced: Another bridge owns a checkpoint that was ours.
        """
        if not self._ownership.joined:
            self._writer.require_topics()
        if owner := self._ownership.acquire():
            self._writer.discard()
            if self.epoch:
                raise fenced_error(owner)
            return owner
        if not self._writer.is_usable or self._writer.is_in_transaction:
            self._writer.open()
        self._renew_group()
        if not self._writer.is_usable:
            raise reread_error()
        if not self.epoch:
            self._writer.start_ownership(self._writer.known.epoch + 1, time.time())
        return ""

    def load(self) -> Checkpoint | None:
        """Return the stored checkpoint; None before the first save.

        The owner waits for the end of foreign transactions for up to 30 s. Others read up to an
        open transaction.

        Raises:
            CheckpointUnusable: The record is damaged; or there is no record of this name among
                those of others, and the start would be at the present.
        """
        writer = self._writer
        writer.refresh()
        if self.epoch:
            self._reader.close()  # A running owner does not need it.
        if writer.lacks_ours and self._settings.start.from_ == "now":
            raise missing_position_error(self.topic, self.name)
        return writer.known.checkpoint(self.name, self.where)

    def stage(self, checkpoint: Checkpoint) -> None:
        """Add the record to the open transaction, which it starts when needed.

        Raises:
            Retryable: The producer failed; the position is to be read again.
        """
        self._writer.stage(checkpoint.record())

    def commit(self) -> Future[None]:
        """Start to commit the open transaction; its record is the known one when that succeeds."""
        return self._writer.commit()

    def save(self, checkpoint: Checkpoint) -> None:
        """Store the checkpoint, unless a later one is stored; waits for up to 20 s.

        Raises:
            Fenced: Another bridge is the owner.
            Retryable: The outcome is not known, or the position is to be read again.
        """
        self.renew()
        stored = self._writer.known.sequence
        if stored is None or checkpoint.sequence > stored:
            self._writer.store(checkpoint.record())

    def renew(self) -> None:
        """Ask for a confirmation of the ownership when that is due.

        Raises:
            Fenced: Another bridge is the owner.
            Retryable: The ownership is not confirmed, or the position is to be read again.
        """
        if not self.epoch:
            raise not_owned_error(self.name)
        self._renew_group()
        if not self._writer.is_usable:
            if self._has_sink:
                self._writer.discard()
                raise reread_error()
            self._writer.open()

    def release(self) -> None:
        """Leave the group, so that a standby takes over at once; takes at most about 2 s."""
        self._ownership.release()
        self._writer.close()
        self._reader.close()

    def discard(self) -> None:
        """Drop the producer without committing; ``acquire`` opens another and reads again."""
        self._writer.discard()

    def replace(self, checkpoint: Checkpoint | None) -> None:
        """Overwrite or (None) remove the checkpoint by hand, as the owner after ``acquire``.

        The stored sequence is continued, so that the position may move back. A record that says so
        stays in the place of a removed checkpoint.
        """
        self.renew()
        self._writer.read()
        if checkpoint is None:
            self._writer.store({"cleared": True, "name": self.name})
            return
        stored = self._writer.known.sequence
        if stored is not None and checkpoint.sequence <= stored:
            checkpoint = replace(checkpoint, sequence=stored + 1)
        self._writer.store(checkpoint.record())

    def remove(self) -> None:
        """Remove the record by a tombstone, as the owner after ``acquire``, and leave the group.

        Compaction removes the tombstone after the topic's ``delete.retention.ms``.
        """
        self.renew()
        self._writer.store(None)
        self.release()

    def entries(self) -> Sequence[CheckpointEntry]:
        """Return the checkpoints of all names in the state topic."""
        return entries_of(self._reader, self._admin.client)

    def check_rights(self) -> None:
        """Raise ``NotPermitted`` if this user lacks a right to own and store; changes nothing."""
        self._writer.require_topics()
        check_state_rights(self._settings, self.transactional_id)

    def ownership(self) -> Membership:
        """Return the owner and the standbys as last seen; never waits, safe on any thread."""
        return self._ownership.membership(self._writer.owners_since)

    def describe(self) -> Membership:
        """Ask Kafka for the owner and the standbys, for at most 5 s. Raises the bridge's errors."""
        if not self.epoch:
            self._writer.read()
        return self._ownership.describe(self._writer.owners_since)

    def _renew_group(self) -> None:
        try:
            if self._ownership.renew(self._writer.end):
                # The record is read again before anything is sent.
                self._writer.discard()
        except BridgeError:
            self._writer.discard()
            raise
