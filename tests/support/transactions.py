"""Transactional producers of one id on a real Kafka, and their owner in the tests of sinks."""

from __future__ import annotations

import threading
import time

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import OffsetSpec
from kafka import KafkaProducer

from bridge.demo.servers.process import poll
from bridge.errors import Retryable
from bridge.kafka.librdkafka.admin_client import AdminClient
from bridge.kafka.librdkafka.client import ClientLogger, make_latest_warning
from bridge.kafka.librdkafka.topics import LibrdkafkaTopics
from bridge.kafka.librdkafka.transactional_producer import TransactionalProducer
from bridge.kafka.librdkafka.transactional_sink import TransactionalSink
from bridge.model.window import Delivery, Sending
from tests.support.factories import delivery, message, settings
from tests.support.servers.kafka import Kafka

#: Generous: only a client that hangs reaches it.
SETTLE_SECONDS = 60.0
COMMITTED = IsolationLevel.READ_COMMITTED
UNCOMMITTED = IsolationLevel.READ_UNCOMMITTED


class TransactionScenario:
    """Producers of one transactional id, on a topic and the topic of the positions.

    It owns the latest of them, as a checkpoint store does.
    """

    def __init__(self, kafka: Kafka, topic: str, bootstrap: str = "") -> None:
        self.kafka = kafka
        self.topic = topic
        self.state_topic = f"{topic}-bridge-state"
        self.wake = threading.Event()
        self.settings = settings(
            kafka__bootstrap_servers=bootstrap or kafka.bootstrap,
            kafka__topic=topic,
            kafka__driver="librdkafka",
        )
        self._opened: list[TransactionalProducer] = []
        self._owned: TransactionalProducer | None = None
        self._admin = AdminClient(
            {"bootstrap.servers": kafka.internal}, logger=ClientLogger(make_latest_warning())
        )
        kafka.create_topic(self.state_topic, 1, cleanup_policy="compact")

    @property
    def producer(self) -> TransactionalProducer:
        if self._owned is None:
            raise Retryable("the producer was discarded")
        return self._owned

    def discard(self) -> None:
        if self._owned is not None:
            self._owned.discard()
            self._owned = None

    def open(self) -> TransactionalProducer:
        """Open a producer, which fences the one before."""
        topics = LibrdkafkaTopics(self.settings).describe(
            self.topic, f"{self.topic}-dlq", self.state_topic
        )
        producer = TransactionalProducer(
            self.settings,
            topics,
            f"job-bridge-{self.topic}",
            latest_warning=make_latest_warning(),
        )
        self._opened.append(producer)
        producer.open()
        self._owned = producer
        return producer

    def reopen(self) -> TransactionalProducer:
        """Open a producer as soon as a restarted broker serves it; each session would try once."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                return self.open()
            except Retryable:
                if time.monotonic() > end:
                    raise

    def sink(self) -> TransactionalSink:
        return TransactionalSink(self.settings, f"{self.topic}-dlq", self.wake, store=self)

    def close(self) -> None:
        for producer in self._opened:
            producer.discard()

    def add(self, producer: TransactionalProducer, value: bytes) -> None:
        producer.add(self.state_topic, b"bridge", value)

    def commit(self, producer: TransactionalProducer, *values: bytes) -> None:
        """Commit a transaction of these records."""
        for value in values:
            self.add(producer, value)
        producer.commit().result(SETTLE_SECONDS)
        # Kafka confirms a commit before its readers see it.
        poll(lambda: self._ends(COMMITTED) == self._ends(UNCOMMITTED), "the markers")

    def _ends(self, isolation: IsolationLevel) -> list[int]:
        partitions = [TopicPartition(self.topic, number) for number in range(3)]
        partitions += [TopicPartition(f"{self.topic}-dlq", 0), TopicPartition(self.state_topic, 0)]
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        answers = self._admin.list_offsets(
            dict.fromkeys(partitions, latest), isolation_level=isolation
        )
        return [answers[partition].result().offset for partition in partitions]

    def write_outside(self, value: bytes) -> None:
        """Write a position's record without a transaction."""
        with KafkaProducer(bootstrap_servers=self.kafka.internal) as producer:
            producer.send(self.state_topic, value, b"other").get(SETTLE_SECONDS)

    def sendings(self, *values: bytes, keys: int = 4, topic: str = "") -> list[Sending]:
        return [
            (message(f"job-{number % keys}", value, topic or self.topic), delivery(number))
            for number, value in enumerate(values)
        ]

    def settle(self, sink: TransactionalSink, count: int) -> list[Delivery]:
        deliveries: list[Delivery] = []
        deadline = time.monotonic() + SETTLE_SECONDS
        while len(deliveries) < count:
            assert time.monotonic() < deadline, f"only {len(deliveries)} were settled"
            self.wake.wait(0.5)
            self.wake.clear()
            deliveries += sink.settled()
        return deliveries

    def records(self, isolation: str = "read_committed") -> list[bytes]:
        """The values of the topic of positions."""
        records = self.kafka.read(self.state_topic, isolation=isolation)
        return [record.value or b"" for record in records]

    def visible(self) -> list[bytes]:
        """The committed values of all partitions."""
        return [value for values in self.messages() for value in values]

    def messages(self, topic: str = "") -> list[list[bytes]]:
        """The committed values of each partition, in order."""
        partitions: list[list[bytes]] = [[] for _ in range(3)]
        for record in self.kafka.read(topic or self.topic):
            partitions[record.partition].append(record.value or b"")
        return partitions
