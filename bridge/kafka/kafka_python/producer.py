"""Sends messages with kafka-python and reports the result of each, in order.

The window bounds the messages in flight, nothing is ever given up, and a producer that failed sends
nothing more and is discarded. Its defaults would lose messages or hang (kafka-python 3.0.12):

- its memory is not bounded;
- after ``delivery_timeout_ms``, an idempotent producer never sends again;
- a rejected record fails all later records with the same error;
- messages after an out-of-sequence batch are sent under a new epoch;
- a batch too large for its topic is sent again in parts;
- ``close`` may not close.
"""

import time
from collections.abc import Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from kafka import errors as kafka_errors

from bridge.errors import BridgeError
from bridge.kafka import timeouts
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.kafka_python.client import connection, make_client, make_latest_warning
from bridge.kafka.kafka_python.errors import classify
from bridge.kafka.kafka_python.partition_batches import PartitionBatches
from bridge.kafka.kafka_python.patches import ProducerNetworkClient
from bridge.kafka.kafka_python.producer_patches import StrictProducer
from bridge.kafka.kafka_python.topics import KafkaPythonTopics
from bridge.kafka.partitioner import Partitioner
from bridge.kafka.sink import KafkaSink
from bridge.kafka.topics import deleted_topic_error, require_topics
from bridge.model.window import Delivery, Sending

#: The largest 32-bit timeout.
_NEVER_MS = 2**31 - 1


class KafkaPythonSink(KafkaSink):
    """Sends with kafka-python; its thread only sets ``wake``, ``settled`` collects the answers."""

    client_errors = (kafka_errors.KafkaError, AssertionError, ValueError)

    def __enter__(self) -> Self:
        self._topics = require_topics(
            KafkaPythonTopics(self._settings), self._settings.kafka.topic, self._dead_letter_topic
        )
        try:
            self._producer: StrictProducer = make_client(
                partial(StrictProducer, self._latest_warning),
                self._latest_warning,
                ProducerNetworkClient,
                **self._options(),
            )
        except kafka_errors.KafkaError as error:
            raise self._classify(error) from error
        counts = {name: topic.partitions for name, topic in self._topics.items()}
        self._partitioner = Partitioner(counts, self._partition_batches)
        return self

    def _partition_batches(self, topic: str, number: int) -> PartitionBatches:
        queue = self._producer.partition_queue(topic, number)
        offsets = self._offsets if topic == self._settings.kafka.topic else {}
        return PartitionBatches(queue, self._wake, offsets)

    def _options(self) -> dict[str, Any]:
        compression = self._settings.kafka.compression
        limits = [topic.message_limit() for topic in self._topics.values()]
        give_up = timeouts.GIVE_UP_SECONDS
        return connection(self._settings) | {
            "acks": "all",
            "enable_idempotence": True,
            "delivery_timeout_ms": (
                _NEVER_MS if give_up is None else timeouts.milliseconds(give_up)
            ),
            "linger_ms": 0,
            "batch_size": min(timeouts.BATCH_BYTES, *limits),
            "max_request_size": max(limits),
            "compression_type": None if compression == "none" else compression,
            "max_block_ms": timeouts.milliseconds(timeouts.REQUEST_SECONDS),
            "metadata_max_age_ms": timeouts.milliseconds(timeouts.METADATA_SECONDS),
            "metrics_enabled": False,
        }

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        unanswered = any(partition.unanswered for partition in self._partitioner.partitions)
        self._producer.discard(timeouts.ANSWER_SECONDS if unanswered else 0, timeouts.CLOSE_SECONDS)

    def complaint(self) -> str:
        return super().complaint() or self._producer.throttling()

    def _make_latest_warning(self) -> LatestWarning:
        return make_latest_warning()

    def _hand_over(self, sendings: Sequence[Sending]) -> None:
        groups = self._partitioner.group(sendings)
        milliseconds = int(time.time() * 1000)
        try:
            self._await_topics({partition.topic for partition in groups})
            for partition, messages in groups.items():
                partition.append(messages, milliseconds)
        finally:
            # Only once: woken by each batch, the sender would send its first message alone.
            self._producer.wake_sender()

    def _await_topics(self, topics: Iterable[str]) -> None:
        """Wait for the metadata of these topics.

        Raises:
            Retryable: A topic was deleted, or has fewer partitions than before.
            KafkaError: There is no metadata in time.
        """
        for topic in topics:
            if topic in self._producer.missing_topics():
                raise deleted_topic_error(topic)
            if len(self._producer.partitions_for(topic)) < self._topics[topic].partitions:
                raise deleted_topic_error(topic)

    def _collect(self) -> tuple[list[Delivery], BaseException | None]:
        settled: list[Delivery] = []
        failures = [partition.settle(settled) for partition in self._partitioner.partitions]
        return settled, next(filter(None, failures), None) or self._deleted_topic_error()

    def _deleted_topic_error(self) -> BridgeError | None:
        topic = self._settings.kafka.topic
        return deleted_topic_error(topic) if topic in self._producer.missing_topics() else None

    def _classify(self, error: BaseException) -> BridgeError:
        return classify(error, self._latest_warning.recent())
