"""Where sinks write to, for the tests of them: a broker in memory, and Kafka by each driver."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from bridge.errors import Retryable
from bridge.kafka.drivers import driver_of
from bridge.model.message import Message
from bridge.model.window import Delivery
from bridge.pipeline.ports import AcknowledgedOffsets, Sink
from tests.support.factories import delivery, message, settings
from tests.support.fakes import FakeBroker, FakeSink
from tests.support.servers.kafka import Kafka

#: Generous: only a sink that hangs reaches it.
SETTLE_SECONDS = 90.0
MOST = 50_000
DRIVERS = ("kafka-python", "librdkafka")


class DriverSink(Sink, AcknowledgedOffsets, Protocol):
    """The sink of a driver."""


class SinkUnderTest(Protocol):
    """A broker with one topic, its dead letters' beside it."""

    topic: str

    def open(self) -> AbstractContextManager[DriverSink]: ...

    def pulse(self, sink: Sink) -> None:
        """Let a moment go by."""

    def refuse(self, sink: Sink) -> None:
        """Let the broker accept less than it announced."""

    def written(self, topic: str = "") -> list[list[bytes]]:
        """The values of each partition, in order."""


class InMemorySink:
    topic = "jobs"

    def __init__(self) -> None:
        self.broker = FakeBroker("jobs", "jobs-dlq", max_bytes=MOST)
        self._refusing = False

    def open(self) -> AbstractContextManager[DriverSink]:
        return nullcontext(FakeSink(self.broker))

    def pulse(self, sink: Sink) -> None:
        assert isinstance(sink, FakeSink)
        if self._refusing:
            sink.fail(Retryable("the topic now takes less"))
        sink.acknowledge(1)

    def refuse(self, sink: Sink) -> None:
        self._refusing = True

    def written(self, topic: str = "") -> list[list[bytes]]:
        return [
            [message.value for message in partition]
            for partition in self.broker.partitions[topic or self.topic]
        ]


class KafkaSinkUnderTest:
    def __init__(
        self, driver: str, kafka: Kafka, topic: str, bootstrap: str = "", **others: str
    ) -> None:
        self.kafka, self.topic, self.wake = kafka, topic, threading.Event()
        self.config = settings(
            kafka__bootstrap_servers=bootstrap or kafka.bootstrap,
            kafka__topic=topic,
            kafka__driver=driver,
            **others,
        )
        for name in (topic, f"{topic}-dlq"):
            kafka.alter_topic(name, max_message_bytes=MOST)

    def open(self) -> AbstractContextManager[DriverSink]:
        return driver_of(self.config).sink(self.config, f"{self.topic}-dlq", self.wake)

    def pulse(self, sink: Sink) -> None:
        self.wake.wait(0.5)
        self.wake.clear()

    def refuse(self, sink: Sink) -> None:
        self.kafka.alter_topic(self.topic, max_message_bytes=100)

    def written(self, topic: str = "") -> list[list[bytes]]:
        partitions: list[list[bytes]] = [[] for _ in range(3)]
        for record in self.kafka.read(topic or self.topic):
            partitions[record.partition].append(record.value or b"")
        return partitions


def settle(
    under_test: SinkUnderTest, sink: Sink, done: Callable[[list[Delivery]], bool]
) -> list[Delivery]:
    deliveries: list[Delivery] = []
    deadline = time.monotonic() + SETTLE_SECONDS
    while not done(deliveries):
        assert time.monotonic() < deadline, f"only {len(deliveries)} were settled"
        under_test.pulse(sink)
        deliveries += sink.settled()
    return deliveries


def send(
    under_test: SinkUnderTest, sink: Sink, count: int, keys: int = 4
) -> list[tuple[Message, Delivery]]:
    sent = []
    for number in range(count):
        sending = (
            message(f"job-{number % keys}", b"%d" % number, under_test.topic),
            delivery(number),
        )
        sink.send([sending])
        sent.append(sending)
    return sent
