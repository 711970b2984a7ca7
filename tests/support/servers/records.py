"""Reads a topic from its start to its end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition

POLL_MILLIS = 200
DEADLINE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int


def read(
    bootstrap: str, topic: str, *, isolation: str = "read_committed", until_quiet: bool = False
) -> list[Record]:
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


def _read(consumer: KafkaConsumer, topic: str, until_quiet: bool) -> list[Record]:
    partitions = [
        TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()
    ]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    deadline = time.monotonic() + DEADLINE_SECONDS
    found: list[Record] = []
    fresh: list[Record] = []
    while (until_quiet and fresh) or any(
        consumer.position(each) < ends[each] for each in partitions
    ):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{topic} was not read to its end in {DEADLINE_SECONDS} s")
        batches = consumer.poll(timeout_ms=POLL_MILLIS).values()
        fresh = [_record(each) for batch in batches for each in batch]
        found += fresh
    return sorted(found, key=lambda each: (each.partition, each.offset))


def _record(each: Any) -> Record:
    return Record(
        each.partition,
        each.offset,
        each.key,
        each.value,
        tuple(each.headers or ()),
        each.timestamp,
    )
