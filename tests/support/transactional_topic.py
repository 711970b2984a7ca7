"""A topic to which a producer of librdkafka writes in transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from confluent_kafka import Producer

from bridge.kafka.drivers import driver_of
from bridge.kafka.kafka_python.reader import TopicReader
from bridge.model.message import Record, value_of
from bridge.model.transition import Transition
from tests.support.factories import settings
from tests.support.servers.kafka import Kafka

SECONDS = 30.0


class TransactionalTopic:
    """Writes to partition 0 of a topic, and reads it as the commands do.

    A transaction that is open at the end is never committed.
    """

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self.topic = topic
        self.settings = settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__topic=topic)
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.internal,
                "transactional.id": topic,
                "linger.ms": 0,
            }
        )
        self._producer.init_transactions(SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._producer.close()

    def open(self, *transitions: Transition) -> None:
        """Write a transaction that stays open."""
        self._producer.begin_transaction()
        self.write(*transitions)

    def commit(self, *transitions: Transition) -> None:
        """Write a transaction, unless one is open already, and commit it."""
        if transitions:
            self.open(*transitions)
        self._producer.commit_transaction(SECONDS)

    def abort(self, *transitions: Transition) -> None:
        """Write a transaction whose messages are in the topic, and abort it."""
        if transitions:
            self.open(*transitions)
        self._producer.abort_transaction(SECONDS)

    def write(self, *transitions: Transition) -> None:
        """Write messages; returns when the topic has them."""
        for transition in transitions:
            key, value = transition.job_id.encode(), value_of(transition)
            self._producer.produce(self.topic, value, key, partition=0)
        assert self._producer.flush(SECONDS) == 0

    @contextmanager
    def reader(self) -> Iterator[TopicReader]:
        """Open the reader of the commands."""
        with driver_of(self.settings).reader(self.settings) as reader:
            yield reader

    def records(self) -> Sequence[Record]:
        """Read the whole topic."""
        with self.reader() as reader:
            return [record for batch in reader.read(self.topic, None) for record in batch]
