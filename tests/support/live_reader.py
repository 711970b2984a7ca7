"""A read_committed consumer that runs beside a test and notes each message when it sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from bridge.demo.servers.process import poll

POLL_SECONDS = 0.1
METADATA_SECONDS = 30.0
JOIN_SECONDS = 30.0
#: Transactions of dead processes end by their timeout, in at most half a minute.
DRAIN_SECONDS = 60.0

#: Partition and offset.
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """A message as the reader saw it; ``seen_at`` in Unix seconds."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    trans_id: str
    seen_at: float

    @property
    def place(self) -> Place:
        return self.partition, self.offset


class LiveReader:
    """Reads a topic with librdkafka from its start, as read_committed, on a thread of its own.

    It belongs to no group, starts when it is made and survives restarts of the broker. It never
    starts again: a real consumer would not read anything a second time.
    """

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.readings: list[Reading] = []
        self._topic = topic
        self._failure: KafkaError | BaseException | None = None
        self._closing = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"live-reader-{topic}",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                # An offset that does not exist is an error, not a new start.
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 50,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
        partitions = self._consumer.list_topics(topic, METADATA_SECONDS).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        self._thread = threading.Thread(target=self._run, name="live-reader", daemon=True)
        self._thread.start()

    def __enter__(self) -> LiveReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(JOIN_SECONDS)
        assert not self._thread.is_alive(), "the live reader did not stop"

    def count(self) -> int:
        """How many messages were seen so far."""
        return len(self.readings)

    def await_count(self, count: int, seconds: float = DRAIN_SECONDS) -> None:
        """Wait until ``count`` messages of the topic are visible."""
        poll(
            lambda: self.count() >= count or self._failure is not None,
            f"{count} visible messages",
            seconds,
        )
        self.check()

    def drain(self, places: Collection[Place], seconds: float = DRAIN_SECONDS) -> None:
        """Wait until all ``places`` were seen, at most until the deadline."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._failure is None:
            if not set(places) - {reading.place for reading in list(self.readings)}:
                return
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise if the reader failed."""
        assert self._failure is None, f"the live reader failed: {self._failure!r}"

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                message = self._consumer.poll(POLL_SECONDS)
                if message is not None:
                    self._note(message)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asks
            self._failure = error
        finally:
            self._consumer.close()

    def _note(self, message: Message) -> None:
        seen_at = time.time()
        error = message.error()
        if error is not None:
            if not error.retriable():
                self._failure = error
            return
        headers = dict(message.headers() or ())
        trans_id = headers.get("ce_id") or b""
        assert isinstance(trans_id, bytes)
        self.readings.append(
            Reading(
                _number(message.partition()),
                _number(message.offset()),
                bytes(message.key() or b""),
                bytes(message.value() or b""),
                trans_id.decode(),
                seen_at,
            )
        )


def _number(value: int | None) -> int:
    assert value is not None
    return value
