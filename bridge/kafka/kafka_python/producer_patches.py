"""The private parts of kafka-python's producer that the bridge uses or changes.

kafka-python has no public way to write into a batch, or to keep a failed producer from sending.
:func:`bridge.kafka.kafka_python.patches.require_supported_version` checks the names.
"""

import threading
from collections.abc import Callable, Sequence, Set
from typing import Any

from kafka import KafkaProducer
from kafka.producer.future import FutureRecordMetadata
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.producer.sender import Sender
from kafka.structs import TopicPartition

from bridge.kafka.client_log import LatestWarning
from bridge.kafka.kafka_python.debug_log import at_debug

#: How often the sender of a discarded producer looks for answers.
_ANSWER_POLL_SECONDS = 0.02


class StrictProducer(at_debug(KafkaProducer, Sender=at_debug(Sender))):  # type: ignore[misc]
    """A producer that sends nothing after a failed message, and can be discarded."""

    def __init__(self, latest_warning: LatestWarning, **options: Any) -> None:
        super().__init__(**options)
        # KIP-360: an epoch bump would let the messages after a failed batch in.
        self._transaction_manager._NEEDS_EPOCH_BUMP_ERRORS = frozenset()
        # A batch too large for its topic fails as a whole; the next producer makes smaller ones.
        self._sender._can_split = lambda *_: False
        self._sender._dispatch_error = _reporting(self._sender._dispatch_error, latest_warning)
        self._sender.run_once = _noting(self._sender.run_once, latest_warning)

    def partition_queue(self, topic: str, number: int) -> "PartitionQueue":
        """Return the batches of a partition."""
        return PartitionQueue(self._accumulator, TopicPartition(topic, number))

    def wake_sender(self) -> None:
        """Let the sender look for new messages."""
        self._sender.wakeup()

    def missing_topics(self) -> Set[str]:
        """Return the topics in use that do not exist, by the broker's last answer."""
        topics: Set[str] = self._sender._client.missing_topics()
        return topics

    def throttling(self) -> str:
        """Return which broker throttles this producer, or an empty string."""
        return str(self._sender._client.throttling())

    def discard(self, answer_seconds: float, close_seconds: float) -> None:
        """Stop without sending the messages in the buffers.

        Args:
            answer_seconds: How long to wait for the answers to the requests in flight.
            close_seconds: How long to wait for the sender thread.
        """
        answered = threading.Event()
        self._accumulator.ready = _nothing_is_ready
        self._sender.run_once = _noting_answers(self._sender, answered)
        self.wake_sender()
        answered.wait(answer_seconds)
        self.close(timeout=0)
        self._sender.join(close_seconds)

    def flush(self, timeout: float | None = None) -> None:
        """Send nothing: ``close`` would flush first, and not close if that fails."""

    def __del__(self) -> None:
        """Keep kafka-python's destructor from replacing its module's logger."""


def _reporting(
    dispatch: Callable[[Any, Exception, Any], None], latest_warning: LatestWarning
) -> Callable[[Any, Exception, Any], None]:
    def dispatch_error(batch: Any, error: Exception, partition_response: Any) -> None:
        partition = batch.topic_partition
        latest_warning.note(f"{partition.topic}-{partition.partition}: {error}")
        dispatch(batch, error, partition_response)

    return dispatch_error


def _noting(run_once: Callable[[], None], latest_warning: LatestWarning) -> Callable[[], None]:
    def run_once_noted() -> None:
        try:
            run_once()
        except Exception as error:  # the sender only logs it, and continues
            latest_warning.note(f"the sender failed: {type(error).__name__}: {error}")
            raise

    return run_once_noted


def _nothing_is_ready(*_: Any, **__: Any) -> tuple[set[int], float, bool]:
    """Let the sender send no further batch, and look for answers again after this time."""
    return set(), _ANSWER_POLL_SECONDS, False


def _noting_answers(sender: Sender, answered: threading.Event) -> Callable[[], None]:
    run_once = sender.run_once

    def run_once_noted() -> None:
        run_once()
        if not sender._client.unanswered_batches:
            answered.set()

    return run_once_noted


class PartitionQueue:
    """The producer's own batches of a partition."""

    __slots__ = ("_accumulator", "_batches", "lock", "partition")

    def __init__(self, accumulator: RecordAccumulator, partition: TopicPartition) -> None:
        self.partition = partition
        #: Guards the batches; the sender removes a batch while it holds this lock.
        self.lock = accumulator._tp_lock(partition)
        self._accumulator = accumulator
        self._batches = accumulator._batches

    def appender(self) -> Callable[..., Any]:
        """Return the function that writes into the last batch; call it with ``lock`` held.

        It accepts timestamp (Unix milliseconds), key, value and headers; its result is None if the
        batch has no room.
        """
        batches = self._batches[self.partition]
        return batches[-1].records.append if batches else _no_room

    def start_batch(
        self, milliseconds: int, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]
    ) -> FutureRecordMetadata:
        """Let kafka-python start a batch with this message; return the future of the batch."""
        return self._accumulator.append(self.partition, milliseconds, key, value, headers)[0]


def _no_room(*_: Any) -> None:
    """There is no batch."""
