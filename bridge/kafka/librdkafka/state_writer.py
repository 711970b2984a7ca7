"""Writes the record of a checkpoint with the transactional producer of an ownership."""

import logging
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from typing import Any

from bridge.errors import BridgeError
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.librdkafka.state_record import StateRecord, state_record_of
from bridge.kafka.librdkafka.state_topic import StateTopic
from bridge.kafka.librdkafka.topics import LibrdkafkaTopics
from bridge.kafka.librdkafka.transactional_producer import TransactionalProducer
from bridge.kafka.state_errors import (
    fenced_error,
    missing_state_topic_error,
    owner_sentence,
    reread_error,
    state_permission_error,
    unanswered_save_error,
)
from bridge.kafka.topics import Topic, missing_topic_error
from bridge.model.owner_process import this_process
from bridge.settings import Settings

logger = logging.getLogger("bridge")

#: How long a save may take; the producer gives its commit up before.
SAVE_SECONDS = 20.0


class StateWriter:
    """The producer, and the record as last read or stored.

    Args:
        settings: The connection, the topic and the name of the checkpoint.
        dead_letter_topic: The topic of the dead letters; None if nothing is dead-lettered.
        reader: Reads the record back.
        transactional_id: The id of the transactions.
        latest_warning: Notes the warnings of the client.

    Attributes:
        known: The record as last read or stored.
        lacks_ours: Whether the topic has records, but no position of this name.
        end: The end of the state topic as last read.
        epoch: The number of the ownership; 0 without it.
    """

    def __init__(
        self,
        settings: Settings,
        dead_letter_topic: str | None,
        reader: StateTopic,
        *,
        transactional_id: str,
        latest_warning: LatestWarning,
    ) -> None:
        self.known = StateRecord()
        self.lacks_ours = False
        self.end = 0
        self.epoch = 0
        self._settings = settings
        self._dead_letter_topic = dead_letter_topic
        self._reader = reader
        self._name = settings.checkpoint.name
        self._key = self._name.encode()
        self._transactional_id = transactional_id
        self._latest_warning = latest_warning
        self._producer: TransactionalProducer | None = None
        self._staged: StateRecord | None = None
        #: Whether nothing was stored since the record was read.
        self._is_fresh = False
        self._owner: Mapping[str, Any] = {}

    @property
    def producer(self) -> TransactionalProducer:
        """The open producer. Raises ``Retryable`` when it failed and was discarded."""
        if self._producer is None or self._producer.failed:
            raise reread_error()
        return self._producer

    @property
    def owners_since(self) -> Mapping[str, float | None]:
        """When the owners that are known became the owner, by their text, in Unix seconds."""
        us = StateRecord({"owner": self._owner}) if self.epoch else self.known
        return {us.owner_text: us.owned_since}

    @property
    def is_usable(self) -> bool:
        """Whether there is a producer that has not failed."""
        return self._producer is not None and not self._producer.failed

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open, or its commit is not answered."""
        return self._producer is not None and self._producer.in_transaction

    def require_topics(self) -> Mapping[str, Topic]:
        """Return the topics that the producer writes to.

        Raises:
            Misconfigured: The topic or the state topic does not exist.
            NotPermitted: This user may not read and write the state topic.
        """
        topic = self._settings.kafka.topic
        names = (topic, self._reader.topic, self._dead_letter_topic)
        existing = LibrdkafkaTopics(self._settings).describe(*filter(None, names))
        if topic not in existing:
            raise missing_topic_error(topic)
        state = existing.get(self._reader.topic)
        if state is None:
            raise missing_state_topic_error(self._reader.topic)
        if not state.readable:
            raise state_permission_error(state.name, "Read")
        if not state.writable:
            raise state_permission_error(state.name, "Write")
        return existing

    def open(self) -> None:
        """Open a producer, which ends what other producers of the id left, and read the record.

        Raises:
            Fenced: Another bridge stored a record after this ownership started.
            BridgeError: Kafka does not answer, or refuses.
        """
        self.discard()
        producer = TransactionalProducer(
            self._settings,
            self.require_topics(),
            self._transactional_id,
            latest_warning=self._latest_warning,
        )
        try:
            producer.open()
        except BridgeError:
            producer.discard()
            raise
        self._producer = producer
        before = self.known
        try:
            self.read()
        except BridgeError:
            self.discard()  # Nobody may store before the record is read.
            raise
        self._is_fresh = True
        self._admit(before)

    def read(self) -> None:
        """Read the record: as the owner after all open transactions, else up to the first."""
        if self.is_in_transaction:
            return  # Its own transaction would hold the end back.
        latest = self._reader.latest(self._key, as_owner=self.is_usable)
        self.known = state_record_of(latest.value)
        self.lacks_ours = latest.value is None and (latest.others or latest.found)
        self.end = latest.end

    def refresh(self) -> None:
        """Read the record unless ``open`` has just read it, or is to compare it with this one."""
        if not self._is_fresh and (self.is_usable or not self.epoch):
            before = self.known
            self.read()
            self._admit(before)
        self._is_fresh = False

    def start_ownership(self, epoch: int, since: float) -> None:
        """Note the number of the ownership, and the time of its start in Unix seconds."""
        process = this_process()
        host = process["host"].split("/")[0]
        self.epoch = epoch
        self._owner = {"host": host, "pid": process["pid"], "since": since}

    def stage(self, fields: Mapping[str, Any] | None) -> None:
        """Add a record, or (None) a tombstone, to the open transaction; starts it when needed."""
        owned = {"epoch": self.epoch, "owner": self._owner}
        record = StateRecord() if fields is None else StateRecord({**fields, **owned})
        self.producer.add(self._reader.topic, self._key, record.value())
        self._staged = record

    def commit(self) -> Future[None]:
        """Start to commit the open transaction; its record is the known one when that succeeds."""
        producer, staged = self.producer, self._staged
        committed = Future[None]()
        self._staged = None

        def finish(answer: Future[None]) -> None:
            error = answer.exception()
            if error is not None:
                committed.set_exception(error)
                return
            if staged is not None and self._producer is producer:
                self._note_stored(staged)
            committed.set_result(None)

        producer.commit().add_done_callback(finish)
        return committed

    def store(self, fields: Mapping[str, Any] | None) -> None:
        """Store a record, or a tombstone, in a transaction of its own.

        Waits for up to ``SAVE_SECONDS``.

        Raises:
            Retryable: The outcome is not known, or the producer failed; it is discarded.
        """
        try:
            self.stage(fields)
            self.commit().result(SAVE_SECONDS)
        except NoAnswer:
            self.discard()
            raise unanswered_save_error(SAVE_SECONDS) from None
        except BridgeError:
            self.discard()
            raise

    def discard(self) -> None:
        """Drop the producer without committing."""
        producer, self._producer = self._producer, None
        self._staged = None
        self._is_fresh = False
        if producer is not None:
            producer.discard()

    def close(self) -> None:
        """End the ownership; a transaction that is open is not committed."""
        self.discard()
        self.epoch = 0
        self.known = StateRecord()

    def _note_stored(self, record: StateRecord) -> None:
        self.known = record
        self.lacks_ours = False
        self._is_fresh = False

    def _admit(self, before: StateRecord) -> None:
        """Compare the record that was read with the one before, of this ownership.

        Raises:
            Fenced: Another bridge stored a record meanwhile.
        """
        if not self.epoch or not self.is_usable:
            return
        # Two bridges have the same number if the first stored nothing before the second started.
        same = self.known.epoch == self.epoch and self.known.owner == self._owner
        if self.known.epoch >= self.epoch and not same:
            self.discard()
            raise fenced_error(owner_sentence(self.known.owner_text, self._name))
        if before.exists and not self.known.exists:
            self.store(before.fields)
            logger.warning(
                "the checkpoint in the topic %s vanished: something removed its record; it is "
                "stored again from memory, and nothing is lost or repeated",
                self._reader.topic,
            )
