"""Reads a topic from its start to its end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition

POLL_MILLIS = 200
DEADLINE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """One record of a topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int


def read(
    bootstrap: str, topic: str, *, isolation: str = "read_committed", until_quiet: bool = False
) -> list[TopicRecord]:
    """Every record up to the end at this moment, by partition and offset.

    The consumer belongs to no group and leaves no trace.

    Args:
        until_quiet: Read until a poll returns nothing. The demo's broker counts only the first
            record of the last batch in the end offset.

    Raises:
        TimeoutError: The end was not reached within two minutes.
    """
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        isolation_level=isolation,
    )
    try:
        return _read(consumer, topic, until_quiet)
    finally:
        consumer.close()


def _read(consumer: KafkaConsumer, topic: str, until_quiet: bool) -> list[TopicRecord]:
    partitions = [
        TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()
    ]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    deadline = time.monotonic() + DEADLINE_SECONDS
    records: list[TopicRecord] = []
    fresh: list[TopicRecord] = []
    while (until_quiet and fresh) or any(
        consumer.position(partition) < ends[partition] for partition in partitions
    ):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{topic} was not read to its end in {DEADLINE_SECONDS} s")
        batches = consumer.poll(timeout_ms=POLL_MILLIS).values()
        fresh = [_record(received) for batch in batches for received in batch]
        records += fresh
    return sorted(records, key=lambda record: (record.partition, record.offset))


def _record(received: Any) -> TopicRecord:
    return TopicRecord(
        received.partition,
        received.offset,
        received.key,
        received.value,
        tuple(received.headers or ()),
        received.timestamp,
    )
