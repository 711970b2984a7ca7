"""Hands messages to kafka-python's producer and reports, in order, what became of them.

Its defaults lose or wedge (each found with kafka-python 3.0.12): no bound of its own on memory,
a batch given up after ``delivery_timeout_ms`` leaves an idempotent producer that never sends
again, one refused record fails all later ones with the same error, what is behind a batch that is out
of sequence is sent under a new epoch, a batch too large for its topic is sent again in parts, and
``close`` may not close. So the window bounds what is in flight, nothing is ever given up, and after
any failure the producer sends nothing more and is discarded.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient
from kafka.structs import TopicPartition

from bridge.errors import BridgeError
from bridge.kafka import timeouts
from bridge.kafka.errors import discarded
from bridge.kafka.kafka_python.client import connection, latest_warning, made
from bridge.kafka.kafka_python.errors import classify
from bridge.kafka.kafka_python.partition_batches import Lane
from bridge.kafka.kafka_python.topics import KafkaPythonTopics
from bridge.kafka.partitioner import Partitioner
from bridge.kafka.topics import Topic, admitted
from bridge.model.window import Delivery, Sending
from bridge.settings import Settings

#: How long the sender waits at least where it was told not to at all.
_LOOK_MS = 100.0
#: As long as a 32 bit timeout can be.
_NEVER_MS = 2**31 - 1


class _Client(KafkaNetClient):  # type: ignore[misc]  # it has no types
    """Lets the sender, a thread in Python too, wait where there is nothing it could do."""

    def connection_delay(self, node_id: int) -> float:
        """How long the sender may wait for a broker that takes nothing now, in milliseconds.

        It is given seconds, and none while it connects or has enough in flight: it would look again and again instead of
        waiting, which an answer or a connection ends anyway.
        """
        return max(float(super().connection_delay(node_id)) * 1000, _LOOK_MS)


def _change(owner: Any, name: str, value: Any) -> None:
    """Set what kafka-python has under this name. Raises ``AttributeError`` where it has none: it would go on as before, in silence."""
    getattr(owner, name)
    setattr(owner, name, value)


class KafkaPythonSink:
    """One producer for one run of the loop; a context manager. See :class:`bridge.pipeline.ports.Sink`.

    Entering checks the topic and connects. The client answers on a thread of its own, which only
    sets ``wake``; the answers are collected by ``settled``.
    """

    def __init__(
        self, settings: Settings, dead_letter_topic: str | None, wake: threading.Event
    ) -> None:
        self._settings = settings
        self._topic = settings.kafka.topic
        self._dead_letter_topic = dead_letter_topic
        self._wake = wake
        self._words = latest_warning()
        self._topics: dict[str, Topic] = {}
        self.broken = False

    def __enter__(self) -> Self:
        self._topics = admitted(
            KafkaPythonTopics(self._settings), self._topic, self._dead_letter_topic
        )
        self._words.install()
        try:
            self._producer: KafkaProducer = made(KafkaProducer, **self._options())
        except kafka_errors.KafkaError as error:
            raise self._verdict(error) from error
        # KIP-360: a broker that lost records makes it begin a new epoch, with what is behind the batch that failed.
        _change(self._producer._transaction_manager, "_NEEDS_EPOCH_BUMP_ERRORS", frozenset())
        # A batch that has become too large for its topic fails as a whole, so that the next producer makes smaller ones.
        _change(self._producer._sender, "_can_split", lambda *_: False)
        self._lanes = Partitioner(
            {name: topic.partitions for name, topic in self._topics.items()}, self._lane
        )
        return self

    def _lane(self, topic: str, number: int) -> Lane:
        return Lane(TopicPartition(topic, number), self._producer._accumulator, self._wake)

    def _options(self) -> dict[str, Any]:
        compression, limits = (
            self._settings.kafka.compression,
            [topic.takes() for topic in self._topics.values()],
        )
        patience = timeouts.GIVE_UP_SECONDS
        return connection(self._settings) | {
            "acks": "all",
            "enable_idempotence": True,
            "delivery_timeout_ms": _NEVER_MS
            if patience is None
            else timeouts.milliseconds(patience),
            "linger_ms": 0,
            "batch_size": min(timeouts.BATCH_BYTES, *limits),
            "max_request_size": max(limits),
            "compression_type": None if compression == "none" else compression,
            "max_block_ms": timeouts.milliseconds(timeouts.REQUEST_SECONDS),
            "metadata_max_age_ms": timeouts.milliseconds(timeouts.METADATA_SECONDS),
            "metrics_enabled": False,
            "kafka_client": self._connected,
        }

    def _connected(self, **options: Any) -> _Client:
        self._client = _Client(**options)
        return self._client

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the producer for good: what is still in its buffers is not delivered later."""
        producer = self._producer
        # close() alone flushes first, and raises without closing when it cannot.
        producer._sender.force_close()
        producer._sender.join(timeouts.CLOSE_SECONDS)
        producer._closed = True
        producer._unregister_cleanup()

    def max_message_bytes(self, topic: str) -> int:
        """The largest message the topic takes, in bytes; 0 when it was not there when this producer was made."""
        found = self._topics.get(topic)
        return found.takes() if found else 0

    def send(self, sendings: Sequence[Sending]) -> None:
        """Hand messages over, each partition's in a row. Raises what it means when the producer does not take them, and :class:`Retryable` when it takes no more."""
        if self.broken:
            raise discarded()
        by_lane, milliseconds = self._lanes.together(sendings), int(time.time() * 1000)
        try:
            self._expect({lane.partition.topic for lane in by_lane})
            for lane, some in by_lane.items():
                lane.take(some, milliseconds)
        except (kafka_errors.KafkaError, AssertionError, ValueError) as error:
            self.broken = True
            raise self._verdict(error) from error
        finally:
            self._client.wakeup()

    def _expect(self, topics: Iterable[str]) -> None:
        """Wait until the producer knows the topics. Raises kafka-python's errors, and ``ValueError`` when one has fewer partitions now."""
        for topic in topics:
            if len(self._producer.partitions_for(topic)) < self._topics[topic].partitions:
                raise ValueError(f"the topic {topic} has fewer partitions than it had")

    def settled(self) -> list[Delivery]:
        """The deliveries acknowledged since the last call; raises what a failed one means when there are none, once."""
        settled: list[Delivery] = []
        if self.broken:
            return settled
        failures = [lane.settle(settled) for lane in self._lanes.all]
        failure = next(filter(None, failures), None)
        if failure is not None and not settled:
            self.broken = True
            raise self._verdict(failure)
        return settled

    def complaint(self) -> str:
        """What the client last said of its troubles; empty when nothing lately."""
        return self._words.recent()

    def _verdict(self, error: BaseException) -> BridgeError:
        return classify(error, self._words.recent())
