"""The kafka-python driver: hands messages over and reports, in order, what became of them.

Its defaults lose or wedge (each found with kafka-python 3.0.12): no bound of its own on memory,
a batch given up after ``delivery_timeout_ms`` leaves an idempotent producer that never sends
again, one refused record fails all later ones with the same error, and ``close`` may not close.
So the window bounds what is in flight, nothing is ever given up, and after any failure the whole
producer is discarded.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.partitioner.default import murmur2

from bridge.config import Config
from bridge.model.message import Message
from bridge.model.window import Delivery
from bridge.sink.client import LastWords, connection, made
from bridge.sink.errors import classify
from bridge.sink.topics import Topics, missing, unwritable

logger = logging.getLogger(__name__)

#: As long as a 32 bit timeout can be: a message is never given up.
NEVER_MS = 2**31 - 1
_BATCH_BYTES = 262_144
_MOST_KEYS = 10_000


class KafkaSink:
    """One producer for one run of the loop; a context manager.

    Entering checks the topic and connects. ``send`` does not wait for Kafka; what became of the
    messages is told by ``settled``, in order per partition. Acknowledgements arrive on the client's
    thread, which only appends to a queue and sets ``wake``.
    """

    def __init__(self, config: Config, dead_letter_topic: str, wake: threading.Event) -> None:
        self._config = config
        self._topic = config.kafka.topic
        self._dead_letter_topic = dead_letter_topic
        self._wake = wake
        self._words = LastWords()
        self._answers: deque[tuple[Delivery, BaseException | None]] = deque()
        self._limits: dict[str, int] = {}
        self._partitions: dict[str, int] = {}
        self._partition_of: dict[bytes, int] = {}
        self.broken = False

    def __enter__(self) -> Self:
        described = Topics(self._config).describe(self._topic, self._dead_letter_topic)
        if self._topic not in described:
            raise missing(self._topic)
        if not described[self._topic].writable:
            raise unwritable(self._topic)
        if self._dead_letter_topic not in described:
            logger.warning("the dead-letter topic %s does not exist: a message that needs it will stop the bridge; "
                           "'job-bridge topics create' makes it", self._dead_letter_topic)
        self._limits = {name: topic.takes() for name, topic in described.items()}
        self._partitions = {name: topic.partitions for name, topic in described.items()}
        self._words.install()
        try:
            self._producer: KafkaProducer = made(KafkaProducer, **self._options())
        except kafka_errors.KafkaError as error:
            raise classify(error, self._words.recent()) from error
        return self

    def _options(self) -> dict[str, Any]:
        compression = self._config.kafka.compression
        return connection(self._config) | {
            "acks": "all",
            "enable_idempotence": True,
            "delivery_timeout_ms": NEVER_MS,
            # Nothing waits while the stream trickles; under load batches fill while one is on its way.
            "linger_ms": 0,
            "batch_size": min(_BATCH_BYTES, min(self._limits.values())),
            "max_request_size": max(self._limits.values()),
            "compression_type": None if compression == "none" else compression,
            "max_block_ms": 15_000,
            "metadata_max_age_ms": 60_000,
            "metrics_enabled": False,
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the producer for good: what is still in its buffers is not delivered later."""
        producer = self._producer
        # close() alone flushes first, and raises without closing when it cannot.
        producer._sender.force_close()
        producer._sender.join(5)
        producer._closed = True
        producer._unregister_cleanup()

    def has(self, topic: str) -> bool:
        """Whether the topic was there when this producer was made."""
        return topic in self._limits

    def takes(self, message: Message) -> bool:
        """Whether the message is small enough for its topic."""
        return message.size() <= self._limits[message.topic]

    def send(self, message: Message, delivery: Delivery) -> None:
        """Hand a message over. Raises :class:`Retryable` when the producer takes no more."""
        try:
            future = self._producer.send(
                message.topic, message.value, message.key, list(message.headers),
                self._partition(message.topic, message.key),
            )
        except (kafka_errors.KafkaError, AssertionError) as error:
            self.broken = True
            raise classify(error, self._words.recent()) from error
        future.add_callback(self._acknowledged, delivery)
        future.add_errback(self._failed, delivery)

    def settled(self) -> Iterator[Delivery]:
        """The deliveries acknowledged since the last call. Raises what a failed one means."""
        answers = self._answers
        while answers:
            delivery, error = answers.popleft()
            if error is not None:
                self.broken = True
                raise classify(error, self._words.recent())
            yield delivery

    def complaint(self) -> str:
        """What the client last said of its troubles; empty when nothing lately."""
        return self._words.recent()

    def _partition(self, topic: str, key: bytes) -> int:
        """The partition Kafka's default partitioner gives this key; remembered, since the hash is slow in Python."""
        if topic != self._topic:
            return _hashed(key, self._partitions[topic])
        partition = self._partition_of.get(key)
        if partition is None:
            if len(self._partition_of) >= _MOST_KEYS:
                self._partition_of.clear()
            partition = self._partition_of[key] = _hashed(key, self._partitions[topic])
        return partition

    def _acknowledged(self, delivery: Delivery, _metadata: Any) -> None:
        self._answers.append((delivery, None))
        if not self._wake.is_set():
            self._wake.set()

    def _failed(self, delivery: Delivery, error: BaseException) -> None:
        self._answers.append((delivery, error))
        self._wake.set()


def _hashed(key: bytes, partitions: int) -> int:
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
