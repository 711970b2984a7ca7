"""Sends messages in the transactions of a producer that the checkpoint store owns."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from confluent_kafka import KafkaError, Producer

from bridge.errors import BridgeError
from bridge.kafka.librdkafka.producer import LibrdkafkaSink
from bridge.kafka.librdkafka.transactional_producer import TransactionalProducer
from bridge.model.window import Delivery, Sending
from bridge.settings import Settings

#: How often an idle sink checks whether it is time to look for its topic.
_IDLE_SECONDS = 1.0


class ProducerOwner(Protocol):
    """Owns the transactional producer, as the checkpoint store does."""

    @property
    def producer(self) -> TransactionalProducer:
        """The open producer. Raises ``Retryable`` after ``discard``."""

    def discard(self) -> None:
        """Drop the producer; ``producer`` raises until another is open."""


class TransactionalSink(LibrdkafkaSink):
    """Sends each message in the open transaction, which it starts when needed.

    Leaving discards the producer if it failed or if a transaction is open, so that no part of a
    transaction is committed. Otherwise the producer stays open for its owner.
    """

    def __init__(
        self,
        settings: Settings,
        dead_letter_topic: str | None,
        wake: threading.Event,
        *,
        store: ProducerOwner,
    ) -> None:
        super().__init__(settings, dead_letter_topic, wake)
        self._store = store

    def __enter__(self) -> Self:
        self._describe_topics()
        self._transactions = self._store.producer
        self._transactions.failure.wake = self._wake
        self._latest_warning = self._transactions.latest_warning
        self._poller.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._has_messages.set()
        if self.broken or self._transactions.failed or self._transactions.in_transaction:
            self._store.discard()
            self._transactions.discard()

    @property
    def _producer(self) -> Producer:  # type: ignore[override]
        return self._transactions.client

    def send(self, sendings: Sequence[Sending]) -> None:
        """Add messages to the open transaction. See :meth:`KafkaSink.send`."""
        try:
            super().send(sendings)
        except BridgeError as error:
            self._transactions.failure.note(error)
            raise

    def _hand_over(self, sendings: Sequence[Sending]) -> None:
        self._transactions.begin()
        self._produce_groups(sendings)
        self._transactions.serve()

    def _collect(self) -> tuple[list[Delivery], KafkaError | Exception | None]:
        failed = self._transactions.failed  # read first: reports before it are then in the queue
        settled, failure = super()._collect()
        return settled, failure or (self._transactions.failure.error() if failed else None)

    def _classify(self, error: KafkaError | BaseException) -> BridgeError:
        return self._transactions.failure.classify(error)

    def _poll(self) -> None:
        """Look for the topic while idle; the producer's own thread serves the reports."""
        while not self._closing.wait(_IDLE_SECONDS):
            if not self._transactions.in_transaction:
                with suppress(BridgeError):  # the producer was discarded
                    self._look_for_topic()

    def _fail(self, error: KafkaError | Exception) -> None:
        self._transactions.failure.note(error)
        super()._fail(error)
