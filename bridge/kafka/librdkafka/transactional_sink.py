"""Sends messages in the transactions of a producer that the checkpoint store owns."""

import threading
from typing import Protocol

from bridge.kafka.librdkafka.producer import LibrdkafkaSink
from bridge.kafka.librdkafka.transactional_producer import TransactionalProducer
from bridge.settings import Settings


class ProducerOwner(Protocol):
    """Owns the producer; the checkpoint store."""

    @property
    def producer(self) -> TransactionalProducer:
        """The open producer. Raises ``Retryable`` when there is none."""

    def discard(self) -> None:
        """Drop the producer; ``producer`` raises until a new one is open."""


class TransactionalSink(LibrdkafkaSink):
    """Sends each message in the open transaction, which it starts when needed."""

    def __init__(
        self,
        settings: Settings,
        dead_letter_topic: str | None,
        wake: threading.Event,
        store: ProducerOwner,
    ) -> None:
        super().__init__(settings, dead_letter_topic, wake)
        self._store = store
