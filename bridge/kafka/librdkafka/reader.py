"""Reads the end of a topic back with librdkafka, which does it faster than kafka-python."""

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import methodcaller
from types import TracebackType
from typing import Any, Self

from confluent_kafka import (
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from bridge.errors import Retryable
from bridge.kafka import timeouts
from bridge.kafka.errors import read_permission_error, silent_topic_error
from bridge.kafka.librdkafka.client import (
    ClientLogger,
    connection,
    make_latest_warning,
    reading_options,
)
from bridge.kafka.librdkafka.errors import classify
from bridge.kafka.topics import missing_topic_error
from bridge.model.message import Record
from bridge.settings import Settings

_MAX_RECORDS = 5000
#: ``consume`` returns when it has the maximum of records or this time has passed.
_POLL_SECONDS = 0.02
#: The client looks its group up, although partitions are assigned and the group is never joined.
_UNNEEDED = KafkaError.GROUP_AUTHORIZATION_FAILED
#: For a name that is not UTF-8, ``Message.headers`` returns a broken list and leaves an exception
#: set. The interpreter checks for that in a call from C, as here, but not in every call in Python.
_headers = methodcaller("headers")


class LibrdkafkaTailReader:
    """See :class:`bridge.pipeline.ports.TailReader`; a context manager."""

    def __init__(self, settings: Settings) -> None:
        self.ends: Mapping[int, int] = {}
        self._settings = settings
        self._latest_warning = make_latest_warning()

    def __enter__(self) -> Self:
        try:
            self._consumer = Consumer(
                connection(self._settings, self._latest_warning)
                | reading_options(f"job-bridge-{os.getpid()}"),
                logger=ClientLogger(self._latest_warning),
            )
        except KafkaException as error:
            raise classify(error, self._latest_warning.recent()) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def read_from(
        self, topic: str, offsets: Mapping[int, int], since: float | None
    ) -> Iterator[Sequence[Record]]:
        try:
            ends = self._committed_ends(topic, self._partitions(topic))
            # An offset after the end is of a topic that was created again, or withheld.
            known = {
                number: offsets[number]
                for number, end in ends.items()
                if number in offsets and offsets[number] <= end
            }
            others = [number for number in ends if number not in known]
            starts = known | self._starts_by_time(topic, others, since)
            yield from self._read_to_end(topic, starts, ends)
        except KafkaException as error:
            raise self._classify(error) from error

    def latest(self, topic: str, count: int) -> Sequence[Record]:
        try:
            starts = {
                number: max(first, end - count)
                for number in self._partitions(topic)
                for first, end in [self._bounds(topic, number)]
                if first < end
            }
            if not starts:
                return []
            ends = self._committed_ends(topic, starts)
            parts = self._read_to_end(topic, starts, ends, late_seconds=0)
            return [record for records in parts for record in records]
        except KafkaException as error:
            raise self._classify(error) from error

    def _partitions(self, topic: str) -> list[int]:
        # All topics are requested: a request for a missing topic may create it.
        topics = self._consumer.list_topics(timeout=timeouts.REQUEST_SECONDS).topics
        if topic not in topics:
            raise missing_topic_error(topic)
        return sorted(topics[topic].partitions)

    def _bounds(self, topic: str, number: int) -> tuple[int, int]:
        partition = TopicPartition(topic, number)
        first, end = self._consumer.get_watermark_offsets(partition, timeouts.REQUEST_SECONDS)
        return first, end

    def _starts_by_time(
        self, topic: str, numbers: list[int], since: float | None
    ) -> dict[int, int]:
        if since is None or not numbers:
            return dict.fromkeys(numbers, 0)
        moment = max(0, int(since * 1000))
        asked = [TopicPartition(topic, number, moment) for number in numbers]
        answers = self._consumer.offsets_for_times(asked, timeout=timeouts.REQUEST_SECONDS)
        for answer in answers:
            if answer.error:
                raise KafkaException(answer.error)
        # A time after the last record has the offset OFFSET_END, which is negative.
        return {answer.partition: answer.offset for answer in answers}

    def _read_to_end(
        self,
        topic: str,
        starts: Mapping[int, int],
        ends: Mapping[int, float],
        *,
        late_seconds: float = timeouts.LATE_SECONDS,
    ) -> Iterator[list[Record]]:
        """Read up to ``ends``, and the records that arrive within ``late_seconds`` after them."""
        # After the first open transaction no end is reported.
        withheld = {number: start for number, start in starts.items() if start > ends[number]}
        self._consumer.assign([TopicPartition(topic, *start) for start in starts.items()])
        ended: dict[int, int] = {}
        last_record = time.monotonic()
        late_until = math.inf
        while (left := late_until - time.monotonic()) > 0:
            messages = self._consumer.consume(_MAX_RECORDS, min(left, _POLL_SECONDS))
            records = [
                record for message in messages for record in self._record(message, ended, ends)
            ]
            if records:
                last_record = time.monotonic()
                yield records
            elif starts.keys() - ended.keys() <= withheld.keys():
                ended = withheld | ended
            elif time.monotonic() - last_record > timeouts.SILENT_TOPIC_SECONDS:
                raise self._silence_error(topic, len(starts) - len(ended))
            if len(ended) == len(starts):
                late_until = min(late_until, time.monotonic() + late_seconds)
        self.ends = ended

    def _committed_ends(self, topic: str, numbers: Iterable[int]) -> dict[int, float]:
        """Return the ends of the partitions; infinity where the end is not known."""
        asked = [TopicPartition(topic, number, OFFSET_END) for number in numbers]
        answers = self._consumer.offsets_for_times(asked, timeout=timeouts.REQUEST_SECONDS)
        ends = {answer.partition: answer.offset for answer in answers if not answer.error}
        return {asking.partition: ends.get(asking.partition, math.inf) for asking in asked}

    def _record(
        self, message: Message, ended: dict[int, int], ends: Mapping[int, float]
    ) -> list[Record]:
        """Return the record of a message; note the end of a partition. Raises its error."""
        error = message.error()
        partition, offset = message.partition() or 0, message.offset() or 0
        if error is not None:
            if error.code() == _UNNEEDED:
                return []
            if error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            ended[partition] = offset
            return []
        if offset + 1 >= ends[partition]:
            ended[partition] = offset + 1  # a busy partition may never report its end
        timestamp, headers = message.timestamp()[1] / 1000, _headers_of(message)
        return [Record(partition, offset, timestamp, message.key(), message.value(), headers)]

    def _classify(self, error: KafkaException) -> Exception:
        if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return read_permission_error(error.args[0].name())
        warning = self._latest_warning.recent()
        # Without a right to the group there is always a warning, which explains no other error.
        return classify(error, "" if "GROUP_AUTHORIZATION" in warning else warning)

    def _silence_error(self, topic: str, partitions: int) -> Retryable:
        return silent_topic_error(topic, partitions, self._latest_warning.recent())


def _headers_of(message: Message) -> Any:
    """Return the headers; none if a name is not UTF-8, as another program may write it."""
    try:
        return _headers(message) or ()
    except (SystemError, UnicodeDecodeError):
        return ()
