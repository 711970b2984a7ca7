"""A consumer of the topic under test that stays for the whole run and reads on when asked."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

POLL_MILLIS = 200
DEADLINE_SECONDS = 60.0


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
    """Belongs to no group. The topic's timestamps must be those of appending."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
        self._partitions = [TopicPartition(topic, number) for number in self._consumer.partitions_for_topic(topic)]
        self._consumer.assign(self._partitions)
        self._consumer.seek_to_beginning(*self._partitions)
        self._found: list[Arrival] = []

    def close(self) -> None:
        self._consumer.close()

    def read(self) -> list[Arrival]:
        """Everything up to the end at this moment, each partition in its order."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        ends = self._ends(deadline)
        while any(self._consumer.position(each) < ends[each] for each in self._partitions):
            assert time.monotonic() < deadline, f"the topic was not read to its end in {DEADLINE_SECONDS:g} s"
            for batch in self._consumer.poll(timeout_ms=POLL_MILLIS).values():
                self._found += map(_arrival, batch)
        return list(self._found)

    def _ends(self, deadline: float) -> dict[TopicPartition, int]:
        """A broker that was just started again may first refuse."""
        while True:
            try:
                ends: dict[TopicPartition, int] = self._consumer.end_offsets(self._partitions)
                return ends
            except KafkaError:
                if time.monotonic() > deadline:
                    raise


def _arrival(record: Any) -> Arrival:
    value = json.loads(record.value)
    return Arrival(
        value["job_id"], value["trans_id"], value["state"], record.key.decode(), record.partition, record.timestamp
    )
