"""Reads a topic back, from a time on: for comparing, and for dead letters."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors

from bridge.errors import Retryable
from bridge.kafka import timeouts
from bridge.kafka.errors import unreadable
from bridge.kafka.kafka_python.client import connection, latest_warning, made
from bridge.kafka.kafka_python.errors import classify
from bridge.kafka.topics import missing
from bridge.model.message import Record
from bridge.settings import Settings

_POLL_MS = 500
_RECORDS_AT_ONCE = 5000
#: No record for so long, with some still to come, and the topic is out of reach.
_SILENCE_SECONDS = 30.0


class TopicReader:
    """See :class:`bridge.pipeline.ports.Reader`; a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._words = latest_warning()

    def __enter__(self) -> Self:
        self._words.install()
        with self._translated():
            self._consumer = self._made(isolation_level="read_committed")
        return self

    def _made(self, **how: Any) -> KafkaConsumer:
        return made(
            KafkaConsumer,
            **connection(self._settings),
            group_id=None,
            enable_auto_commit=False,
            max_poll_records=_RECORDS_AT_ONCE,
            auto_offset_reset="earliest",  # what was removed meanwhile is passed over, not all that is behind it
            **how,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def count(self, topic: str, since: float | None) -> int:
        with self._translated():
            partitions = self._partitions(topic)
            begins, ends = self._begins(partitions, since), self._consumer.end_offsets(partitions)
        return sum(max(0, ends[each] - begins[each]) for each in partitions)

    def read(self, topic: str, since: float | None) -> Iterator[Sequence[Record]]:
        with self._translated():
            partitions = self._partitions(topic)
            begins, ends = self._begins(partitions, since), self._ends(partitions)
            self._consumer.assign(partitions)
            for each in partitions:
                self._consumer.seek(each, begins[each])
            heard = time.monotonic()
            while left := [
                each for each in partitions if self._consumer.position(each) < ends[each]
            ]:
                batches = self._consumer.poll(timeout_ms=_POLL_MS)
                if batches:
                    heard = time.monotonic()
                    yield [
                        _record(one)
                        for each, batch in batches.items()
                        for one in batch
                        if one.offset < ends[each]
                    ]
                elif time.monotonic() - heard > _SILENCE_SECONDS:
                    raise self._held_back(topic, left, ends) or self._silent(topic, len(left))

    def _ends(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Behind all that was written. For a reader of what is committed a partition ends where the first open transaction begins."""
        consumer = self._made(isolation_level="read_uncommitted")
        try:
            found: Mapping[TopicPartition, int] = consumer.end_offsets(partitions)
        finally:
            consumer.close()
        return found

    def _held_back(
        self, topic: str, left: list[TopicPartition], ends: Mapping[TopicPartition, int]
    ) -> Retryable | None:
        """What is to be said where a transaction is open, as one is whose producer died in it."""
        committed = self._consumer.end_offsets(left)
        held = sum(max(0, ends[each] - committed[each]) for each in left)
        if not held:
            return None
        return Retryable(
            f"A producer's transaction is open in {topic}: Kafka holds back the {held} records behind its first",
            "Nothing was sent. Consumers that read what is committed do not get them either",
            "Try again when it has ended: Kafka aborts it after that producer's transaction.timeout.ms",
            part="kafka",
        )

    def kept_since(self, topic: str) -> float | None:
        with self._translated():
            partitions = self._partitions(topic)
            begins, ends = (
                self._consumer.beginning_offsets(partitions),
                self._consumer.end_offsets(partitions),
            )
            # One from which all was removed does not say when that ended: what it had is better called missing than left out.
            cut = [each for each in partitions if 0 < begins[each] < ends[each]]
            found = [self._first(topic, each, ends[each]) for each in cut]
        return max((moment for moment in found if moment is not None), default=None)

    def _first(self, topic: str, partition: TopicPartition, end: int) -> float | None:
        """When the oldest record of a partition was written; None where only marks of transactions are left."""
        self._consumer.assign([partition])
        self._consumer.seek_to_beginning(partition)
        deadline = time.monotonic() + timeouts.REQUEST_SECONDS
        while self._consumer.position(partition) < end:
            for batch in self._consumer.poll(timeout_ms=_POLL_MS).values():
                return float(batch[0].timestamp) / 1000
            if time.monotonic() > deadline:
                raise self._silent(topic, 1)
        return None

    def _silent(self, topic: str, partitions: int) -> Retryable:
        return Retryable(
            f"Kafka gives no more of {topic}: {self._words.recent() or partitions} partition(s) silent",
            "Nothing was sent",
            "Look at Kafka, then try again",
            part="kafka",
        )

    def _partitions(self, topic: str) -> list[TopicPartition]:
        # All topics are asked for, never a named one: naming it may create it.
        if topic not in self._consumer.topics():
            raise missing(topic)
        return [
            TopicPartition(topic, number)
            for number in sorted(self._consumer.partitions_for_topic(topic) or ())
        ]

    def _begins(
        self, partitions: list[TopicPartition], since: float | None
    ) -> Mapping[TopicPartition, int]:
        if since is None:
            found: Mapping[TopicPartition, int] = self._consumer.beginning_offsets(partitions)
            return found
        ends = self._consumer.end_offsets(partitions)
        times = self._consumer.offsets_for_times(
            dict.fromkeys(partitions, max(0, int(since * 1000)))
        )
        return {each: times[each].offset if times.get(each) else ends[each] for each in partitions}

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except kafka_errors.AuthorizationError as error:
            raise unreadable(type(error).__name__) from error
        except kafka_errors.KafkaError as error:
            raise classify(error, self._words.recent()) from error


def _record(one: Any) -> Record:
    return Record(
        one.partition, one.offset, one.timestamp / 1000, one.key, one.value, one.headers or ()
    )
