"""Reads a topic back: from a given time for commands, from given offsets for a session."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors

from bridge.errors import Retryable
from bridge.kafka import timeouts
from bridge.kafka.errors import read_permission_error, silent_topic_error
from bridge.kafka.kafka_python.client import connection, make_client, make_latest_warning
from bridge.kafka.kafka_python.errors import classify
from bridge.kafka.kafka_python.reader_patches import TolerantConsumer
from bridge.kafka.retained import first_send_time
from bridge.kafka.topics import missing_topic_error
from bridge.model.message import Record
from bridge.settings import Settings

_POLL_MS = 500
_MAX_RECORDS = 5000

#: Records of other programs before the first message of a transition; more are not read.
_MAX_PASSED_OVER = 100_000

Offsets = Mapping[TopicPartition, int]


class TopicReader:
    """See the ``Reader`` and ``TailReader`` of ``bridge/pipeline/ports.py``; a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._latest_warning = make_latest_warning()
        self.ends: Mapping[int, int] = {}

    def __enter__(self) -> Self:
        with self._translated():
            self._consumer = self._make_consumer("read_committed")
        return self

    def _make_consumer(self, isolation_level: str) -> KafkaConsumer:
        return make_client(
            TolerantConsumer,
            self._latest_warning,
            **connection(self._settings),
            group_id=None,
            enable_auto_commit=False,
            max_poll_records=_MAX_RECORDS,
            # If records are removed while they are read, only those are skipped.
            auto_offset_reset="earliest",
            isolation_level=isolation_level,
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
            starts = self._start_offsets(partitions, since)
            ends = self._consumer.end_offsets(partitions)
        return sum(max(0, ends[partition] - starts[partition]) for partition in partitions)

    def read(self, topic: str, since: float | None) -> Iterator[Sequence[Record]]:
        with self._translated():
            partitions = self._partitions(topic)
            starts = self._start_offsets(partitions, since)
            ends = self._written_end_offsets(partitions)
            yield from self._read_to_end(starts, ends)

    def read_from(
        self, topic: str, offsets: Mapping[int, int], since: float | None
    ) -> Iterator[Sequence[Record]]:
        """See :class:`bridge.pipeline.ports.TailReader`."""
        with self._translated():
            partitions = self._partitions(topic)
            ends = self._consumer.end_offsets(partitions)
            starts = self._tail_starts(offsets, since, ends)
            yield from self._read_to_end(starts, ends)

    def latest(self, topic: str, count: int) -> Sequence[Record]:
        """See :class:`bridge.pipeline.ports.TailReader`."""
        with self._translated():
            partitions = self._partitions(topic)
            firsts = self._consumer.beginning_offsets(partitions)
            ends = self._consumer.end_offsets(partitions)
            starts = {
                part: max(firsts[part], ends[part] - count)
                for part in partitions
                if firsts[part] < ends[part]
            }
            parts = self._read_to_end(starts, ends, late_seconds=0) if starts else ()
            return [record for records in parts for record in records]

    def _read_to_end(
        self, starts: Offsets, ends: Offsets, *, late_seconds: float = timeouts.LATE_SECONDS
    ) -> Iterator[list[Record]]:
        """Read up to ``ends``, and the records that arrive within ``late_seconds`` after them."""
        partitions = list(starts)
        self._consumer.assign(partitions)
        for partition in partitions:
            self._consumer.seek(partition, starts[partition])
        last_record = time.monotonic()
        late_until = math.inf
        while (now := time.monotonic()) < late_until:
            unread = self._unread(partitions, ends)
            if not unread:
                late_until = min(late_until, now + late_seconds)
            batches = self._consumer.poll(timeout_ms=_POLL_MS if unread else late_seconds * 1000)
            if batches:
                last_record = time.monotonic()
                yield _records(batches)
            elif unread and time.monotonic() - last_record > timeouts.SILENT_TOPIC_SECONDS:
                topic = partitions[0].topic
                raise self._transaction_error(topic, unread, ends) or self._silence_error(
                    topic, len(unread)
                )
        self.ends = {part.partition: self._consumer.position(part) for part in partitions}

    def _tail_starts(
        self, offsets: Mapping[int, int], since: float | None, ends: Offsets
    ) -> Offsets:
        """Return where to start: at ``offsets``, or by time where the topic has no such offset."""
        known = {
            partition: offsets[partition.partition]
            for partition, end in ends.items()
            if offsets.get(partition.partition, end + 1) <= end
        }
        others = [partition for partition in ends if partition not in known]
        return {**(self._start_offsets(others, since) if others else {}), **known}

    def _unread(self, partitions: list[TopicPartition], ends: Offsets) -> list[TopicPartition]:
        return [
            partition
            for partition in partitions
            if self._consumer.position(partition) < ends[partition]
        ]

    def _written_end_offsets(self, partitions: list[TopicPartition]) -> Offsets:
        """Return the ends of the partitions, including records of open transactions.

        For a consumer of committed records, a partition ends at its first open transaction.
        """
        consumer = self._make_consumer("read_uncommitted")
        try:
            ends: Offsets = consumer.end_offsets(partitions)
        finally:
            consumer.close()
        return ends

    def _transaction_error(
        self, topic: str, unread: list[TopicPartition], ends: Offsets
    ) -> Retryable | None:
        """Return the error for an open transaction, as a dead producer leaves it; else None."""
        committed = self._consumer.end_offsets(unread)
        held_back = sum(max(0, ends[partition] - committed[partition]) for partition in unread)
        if not held_back:
            return None
        return Retryable(
            f"A producer's transaction is open in {topic}: "
            f"Kafka withholds {held_back} records, from the transaction's first on",
            "Nothing was sent. Consumers that read committed records do not receive them either",
            "Try again when the transaction has ended: "
            "Kafka aborts it after that producer's transaction.timeout.ms",
            part="kafka",
        )

    def kept_since(self, topic: str, retention_start: float | None = None) -> float | None:
        with self._translated():
            partitions = self._partitions(topic)
            starts = self._consumer.beginning_offsets(partitions)
            ends = self._consumer.end_offsets(partitions)
            truncated = [partition for partition in partitions if starts[partition] > 0]
            times = [
                self._first_send_time(topic, partition, ends[partition]) for partition in truncated
            ]
        known = (retention_start if moment is None else moment for moment in times)
        return max((moment for moment in known if moment is not None), default=None)

    def _first_send_time(self, topic: str, partition: TopicPartition, end: int) -> float | None:
        """Return when the oldest message of a transition was sent; None if it is not found."""
        self._consumer.assign([partition])
        self._consumer.seek_to_beginning(partition)
        deadline = time.monotonic() + timeouts.REQUEST_SECONDS
        passed_over = 0
        while self._consumer.position(partition) < end and passed_over < _MAX_PASSED_OVER:
            batches = self._consumer.poll(timeout_ms=_POLL_MS)
            records = _records(batches)
            if (sent := first_send_time(records, time.time())) is not None:
                return sent
            passed_over += len(records)
            if batches:
                deadline = time.monotonic() + timeouts.REQUEST_SECONDS
            elif time.monotonic() > deadline:
                raise self._silence_error(topic, 1)
        return None

    def _silence_error(self, topic: str, partitions: int) -> Retryable:
        return silent_topic_error(topic, partitions, self._latest_warning.recent())

    def _partitions(self, topic: str) -> list[TopicPartition]:
        # All topics are requested: a request for a missing topic may create it.
        if topic not in self._consumer.topics():
            raise missing_topic_error(topic)
        return [
            TopicPartition(topic, number)
            for number in sorted(self._consumer.partitions_for_topic(topic) or ())
        ]

    def _start_offsets(self, partitions: list[TopicPartition], since: float | None) -> Offsets:
        if since is None:
            starts: Offsets = self._consumer.beginning_offsets(partitions)
            return starts
        ends = self._consumer.end_offsets(partitions)
        times = self._consumer.offsets_for_times(
            dict.fromkeys(partitions, max(0, int(since * 1000)))
        )
        return {
            partition: times[partition].offset if times.get(partition) else ends[partition]
            for partition in partitions
        }

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except kafka_errors.AuthorizationError as error:
            raise read_permission_error(type(error).__name__) from error
        except kafka_errors.KafkaError as error:
            raise classify(error, self._latest_warning.recent()) from error


def _records(batches: Mapping[TopicPartition, Sequence[Any]]) -> list[Record]:
    return [
        Record(
            record.partition,
            record.offset,
            record.timestamp / 1000,
            record.key,
            record.value,
            record.headers or (),
        )
        for batch in batches.values()
        for record in batch
    ]
