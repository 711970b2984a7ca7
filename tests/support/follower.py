"""A consumer of the topic under test that stays for the whole run and reads on when asked."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition

POLL_MILLIS = 200
DEADLINE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message of the topic; ``at`` is when the broker appended it, Unix milliseconds."""

    job_id: str
    trans_id: str
    state: str
    key: str
    partition: int
    at: int


class Follower:
    """Reads a topic whose timestamps are those of appending; belongs to no group.

    It connects when it reads. Leave it before the broker stops: with each failed connection the
    client leaves a socket open, which pytest counts as a failed test.
    """

    def __init__(self, bootstrap: str, topic: str, isolation: str = "read_uncommitted") -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._isolation = isolation
        self._consumer: KafkaConsumer | None = None
        self._next: dict[TopicPartition, int] = {}
        self._found: list[Arrival] = []

    def leave(self) -> None:
        """Disconnect; the next read resumes where the last one ended."""
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = None

    def count(self) -> int:
        """How many messages the topic has at this moment."""
        if self._isolation == "read_committed":  # offsets count aborted messages and markers too
            return len(self.read())
        consumer = self._consumer = self._consumer or self._joined()
        return sum(consumer.end_offsets(list(self._next)).values())

    def read(self) -> list[Arrival]:
        """Everything up to the end at this moment, each partition in its order."""
        consumer = self._consumer = self._consumer or self._joined()
        deadline = time.monotonic() + DEADLINE_SECONDS
        ends = consumer.end_offsets(list(self._next))
        while any(self._next[partition] < end for partition, end in ends.items()):
            assert time.monotonic() < deadline, (
                f"the topic was not read to its end in {DEADLINE_SECONDS:g} s"
            )
            for batch in consumer.poll(timeout_ms=POLL_MILLIS).values():
                self._found += map(_arrival, batch)
            # Beyond the markers of transactions and aborted messages, which no poll returns.
            self._next = {partition: consumer.position(partition) for partition in self._next}
        return list(self._found)

    def _joined(self) -> KafkaConsumer:
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            isolation_level=self._isolation,
        )
        partitions = [
            TopicPartition(self._topic, number)
            for number in consumer.partitions_for_topic(self._topic)
        ]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, self._next.setdefault(partition, 0))
        return consumer


def _arrival(record: Any) -> Arrival:
    value = json.loads(record.value)
    return Arrival(
        value["job_id"],
        value["trans_id"],
        value["state"],
        record.key.decode(),
        record.partition,
        record.timestamp,
    )
