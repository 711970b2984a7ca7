"""Reads the state topic back: one partition, compacted, with the positions of its bridges.

It grows by up to 150 kB/s between two compactions, so the end is read first.
"""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import contextmanager
from math import inf
from typing import Any, NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from bridge.errors import BridgeError
from bridge.kafka import timeouts
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.librdkafka.client import ClientLogger, connection, reading_options
from bridge.kafka.librdkafka.closing import close_within
from bridge.kafka.librdkafka.errors import classify
from bridge.kafka.librdkafka.replaceable_admin import ReplaceableAdmin
from bridge.kafka.state_errors import (
    missing_state_topic_error,
    state_permission_error,
    unfinished_transaction_error,
)
from bridge.settings import Settings

#: How long an owner waits for the end of the topic. A dead producer's transaction withholds it for
#: its timeout (15 s for a bridge), and the broker looks for such transactions every 10 s.
OWNER_SECONDS = 30.0
#: How long others wait: long enough for the marker of a transaction that is just committed.
OTHERS_SECONDS = 0.5
#: How many records from the end are read first; then ten times as many, and so on.
FIRST_RECORDS = 100
_MAX_RECORDS = 5000
_POLL_SECONDS = 0.02
CLOSE_SECONDS = 0.5
_METADATA_SECONDS = 2.0
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_MISSING = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)


class Latest(NamedTuple):
    """The result of a search for the latest record of a key.

    Attributes:
        value: The record's value; None if the topic has no record of the key, or a tombstone.
        found: Whether the topic has a record of the key.
        others: Whether the topic has committed records of other keys, in the part that was read.
        end: The offset at which the search ended.
    """

    value: bytes | None
    found: bool
    others: bool
    end: int


class _Limits(NamedTuple):
    """How long to read.

    Attributes:
        deadline: For all records, in monotonic seconds.
        patience: For the records after an open transaction: seconds from the moment it is reached.
    """

    deadline: float
    patience: float


class StateTopic:
    """A reader of the committed records. Its client is made when needed.

    Args:
        settings: The connection.
        topic: The state topic.
        group: A consumer group that this user may read; it is not joined.
        admin: Looks the offsets up.
        latest_warning: Notes the warnings of the client.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        group: str,
        *,
        admin: ReplaceableAdmin,
        latest_warning: LatestWarning,
    ) -> None:
        self.topic = topic
        self._settings = settings
        self._group = group
        self._admin = admin
        self._latest_warning = latest_warning
        self._consumer: Consumer | None = None

    def close(self) -> None:
        """Close the client; the next read makes another."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            close_within(consumer, CLOSE_SECONDS)

    def latest(self, key: bytes, *, as_owner: bool) -> Latest:
        """Return the latest committed record of ``key``.

        Args:
            key: The name of the checkpoint.
            as_owner: Whether to wait for the end of open transactions, up to ``OWNER_SECONDS``.

        Raises:
            Retryable: The end could not be read in time.
            BridgeError: The topic is missing, or this user may not read it.
        """
        patience = inf if as_owner else OTHERS_SECONDS
        limits = _Limits(time.monotonic() + OWNER_SECONDS, patience)
        with self._translated():
            first, end = self._bounds()
            count = FIRST_RECORDS
            others = False
            while True:
                start = max(first, end - count)
                result = Latest(None, False, others, end)
                for message_key, value in self._read(start, end, limits):
                    if message_key == key:
                        result = Latest(value, True, others, end)
                    else:
                        others = True
                if result.found or start == first:
                    return result._replace(others=others)
                count *= 10

    def all(self) -> Mapping[bytes, bytes | None]:
        """Return the latest committed values by key, up to an open transaction.

        Raises as ``latest``.
        """
        limits = _Limits(time.monotonic() + OWNER_SECONDS, OTHERS_SECONDS)
        with self._translated():
            first, end = self._bounds()
            return dict(self._read(first, end, limits))

    def _bounds(self) -> tuple[int, int]:
        """Return the first offset and the end, which is after open transactions."""
        partition = TopicPartition(self.topic, 0)
        first, end = (
            self._admin.client.list_offsets(
                {partition: offset},
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=timeouts.REQUEST_SECONDS,
            )[partition]
            for offset in (_EARLIEST, _LATEST)
        )
        seconds = timeouts.REQUEST_SECONDS + 1
        return first.result(seconds).offset, end.result(seconds).offset

    def _read(
        self, start: int, end: int, limits: "_Limits"
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """Deliver the committed records from ``start`` up to ``end``."""
        if start >= end:
            return
        consumer = self._client()
        consumer.assign([TopicPartition(self.topic, 0, start)])
        try:
            reached = start
            ended_at = inf
            while reached < end:
                for message in consumer.consume(_MAX_RECORDS, _POLL_SECONDS):
                    reached = self._reached(message, reached)
                    error = message.error()
                    if error is not None and error.code() == KafkaError._PARTITION_EOF:
                        ended_at = min(ended_at, time.monotonic())
                    if error is None and (message.offset() or 0) < end:
                        yield message.key() or b"", message.value()
                now = time.monotonic()
                if reached < end and now - ended_at >= limits.patience:
                    return
                if reached < end and now >= limits.deadline:
                    raise unfinished_transaction_error(self.topic, OWNER_SECONDS)
        finally:
            consumer.unassign()

    def _reached(self, message: Any, before: int) -> int:
        """Return the offset up to which the partition is read after ``message``."""
        error = message.error()
        if error is None:
            return int(message.offset()) + 1
        if error.code() == KafkaError._PARTITION_EOF:
            return max(before, int(message.offset()))
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return before  # The client looks the group up, but does not need it.
        raise KafkaException(error)

    def _client(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(
                connection(self._settings, self._latest_warning) | reading_options(self._group),
                logger=ClientLogger(self._latest_warning),
            )
        return self._consumer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise the bridge's errors; after any error the next read makes another client."""
        try:
            yield
        except (KafkaException, NoAnswer) as error:
            self.close()
            self._admin.discard()
            raise self._error(error) from error
        except BridgeError:
            self.close()
            raise

    def _is_missing(self) -> bool:
        """Whether the topic does not exist; its partition may only have no leader."""
        try:
            # All topics are requested: a request for a missing topic may create it.
            topics = self._admin.client.list_topics(timeout=_METADATA_SECONDS).topics
        except KafkaException:
            return False
        return self.topic not in topics

    def _error(self, error: Exception) -> BridgeError:
        warning = self._latest_warning.recent()
        if isinstance(error, KafkaException):
            code = error.args[0].code()
            if code in _MISSING or (code == KafkaError._NOENT and self._is_missing()):
                return missing_state_topic_error(self.topic)
            if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                return state_permission_error(self.topic, "Read")
        return classify(error, "" if "AUTHORIZATION" in warning else warning)
