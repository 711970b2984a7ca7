"""Sends messages with librdkafka and reports the result of each, in order.

librdkafka batches and sends on threads of its own, outside of Python.

- It may give up a message after ``message.timeout.ms``, or declare the producer failed
  (``_FATAL``). So it never gives up, and a producer is discarded after any failure.
- Delivery reports arrive in order for each partition. With the gapless guarantee, a failed message
  fails all later messages of its partition. So only the last message of each group that is handed
  over has a report, which stands for the group: a report for each message would double the cost.
- It sends its first message alone unless it lingers, and lingers for whole milliseconds. So a few
  messages are flushed, while a backlog lingers and needs half as many requests.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from bridge.errors import BridgeError
from bridge.kafka import timeouts
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.librdkafka.client import ClientLogger, connection, make_latest_warning
from bridge.kafka.librdkafka.errors import classify
from bridge.kafka.librdkafka.topics import LibrdkafkaTopics
from bridge.kafka.partitioner import Partitioner
from bridge.kafka.sink import KafkaSink
from bridge.kafka.topics import (
    DEFAULT_MAX_MESSAGE_BYTES,
    Topic,
    deleted_topic_error,
    require_topics,
)
from bridge.model.window import Delivery, Sending
from bridge.settings import Settings

logger = logging.getLogger(__name__)

#: How long a poll takes at most while messages are in flight.
_POLL_SECONDS = 0.25
#: How often to poll for warnings while no messages are in flight.
_IDLE_SECONDS = 1.0
_LINGER_MS = 1
#: How often to give up messages that a failed request left, while the answers are waited for.
_ANSWER_POLL_SECONDS = 0.02
#: How long the answer to an idle client's question for its topic may take.
_LOOK_SECONDS = 1.0
#: How long a topic that a broker does not know may be a new topic that it does not know yet.
_PROPAGATION_SECONDS = 5.0
_MISSING_TOPIC = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
#: A hand-over of this many messages is a backlog.
_BACKLOG_MESSAGES = 100
#: The range of librdkafka's message.max.bytes.
_MIN_MESSAGE_BYTES = 1_000
_MAX_MESSAGE_BYTES = 1_000_000_000
#: The upper bound of its queue.buffering.max.kbytes.
_MAX_QUEUE_KBYTES = 2_147_483_647


class _Group(NamedTuple):
    """Messages of a partition that were handed over together, in order."""

    deliveries: list[Delivery]
    topic: str
    partition: int


def producer_options(settings: Settings, topics: Mapping[str, Topic]) -> dict[str, Any]:
    """Return the options of a producer for ``topics``, by librdkafka's names."""
    limits = [topic.message_limit() for topic in topics.values()] or [DEFAULT_MAX_MESSAGE_BYTES]
    give_up = timeouts.GIVE_UP_SECONDS
    return {
        "acks": "all",
        "enable.idempotence": True,
        # A failed message stops the producer: later messages must not arrive before it.
        "enable.gapless.guarantee": True,
        "topic.metadata.propagation.max.ms": timeouts.milliseconds(_PROPAGATION_SECONDS),
        # 0 means never.
        "message.timeout.ms": 0 if give_up is None else timeouts.milliseconds(give_up),
        "request.timeout.ms": timeouts.milliseconds(timeouts.REQUEST_SECONDS),
        "linger.ms": _LINGER_MS,
        # The next batches fill while a request is in flight: fewer and larger requests.
        "max.in.flight.requests.per.connection": 1,
        "batch.size": max(1, min(timeouts.BATCH_BYTES, *limits)),
        "message.max.bytes": min(_MAX_MESSAGE_BYTES, max(_MIN_MESSAGE_BYTES, *limits)),
        "compression.type": settings.kafka.compression,
        # Unbounded: the window bounds the messages in flight.
        "queue.buffering.max.messages": 0,
        "queue.buffering.max.kbytes": _MAX_QUEUE_KBYTES,
    }


class LibrdkafkaSink(KafkaSink):
    """Sends with librdkafka; delivery reports arrive in ``send`` or on a polling thread.

    Reports only append to a queue and set ``wake``.
    """

    client_errors = (KafkaException, BufferError)

    def __init__(
        self, settings: Settings, dead_letter_topic: str | None, wake: threading.Event
    ) -> None:
        super().__init__(settings, dead_letter_topic, wake)
        self._reports: deque[tuple[_Group, int | None]] = deque()
        self._failure: KafkaError | Exception | None = None
        self._closing = threading.Event()
        self._has_messages = threading.Event()
        self._next_look = time.monotonic() + timeouts.METADATA_SECONDS
        self._poller = threading.Thread(target=self._poll, name="librdkafka-poll", daemon=True)

    def __enter__(self) -> Self:
        self._describe_topics()
        try:
            self._producer = Producer(
                connection(self._settings, self._latest_warning)
                | producer_options(self._settings, self._topics),
                logger=ClientLogger(self._latest_warning),
            )
        except KafkaException as error:
            raise self._classify(error) from error
        self._poller.start()
        return self

    def _describe_topics(self) -> None:
        self._topics = require_topics(
            LibrdkafkaTopics(self._settings), self._settings.kafka.topic, self._dead_letter_topic
        )
        counts = {name: topic.partitions for name, topic in self._topics.items()}
        self._partitioner = Partitioner(counts, lambda topic, number: (topic, number))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._has_messages.set()
        self._await_answers()
        self._producer.purge()
        self._poller.join(timeouts.CLOSE_SECONDS)
        with suppress(KafkaException):  # reports the purged messages as a fatal error
            self._producer.flush(0)
        del self._producer

    def _await_answers(self) -> None:
        """Give up the messages that no broker has; wait for the answers to the others."""
        deadline = time.monotonic() + timeouts.ANSWER_SECONDS
        while len(self._producer) and time.monotonic() < deadline:
            self._producer.purge(in_queue=True, in_flight=False)
            with suppress(KafkaException):  # reports the purged messages as a fatal error
                self._producer.poll(_ANSWER_POLL_SECONDS)

    def _make_latest_warning(self) -> LatestWarning:
        return make_latest_warning()

    def _hand_over(self, sendings: Sequence[Sending]) -> None:
        self._produce_groups(sendings)
        if 0 < len(sendings) < _BACKLOG_MESSAGES:
            self._flush()
        if len(self._producer):
            self._has_messages.set()

    def _produce_groups(self, sendings: Sequence[Sending]) -> None:
        for (topic, partition), messages in self._partitioner.group(sendings).items():
            try:
                self._produce(topic, partition, messages)
            except KafkaException as error:
                if error.args[0].code() in _MISSING_TOPIC:
                    raise deleted_topic_error(topic) from error
                raise

    def _produce(self, topic: str, partition: int, sendings: Sequence[Sending]) -> None:
        produce = self._producer.produce
        last = sendings[-1]
        deliveries = [delivery for _, delivery in sendings]
        on_report = partial(self._reported, _Group(deliveries, topic, partition))
        for sending in sendings:
            _, key, value, headers = sending[0]
            report = on_report if sending is last else None
            if headers:
                produce(topic, value, key, partition, report, headers=headers)  # type: ignore[arg-type]  # its list is invariant
            else:  # an empty list costs a third of the whole call
                produce(topic, value, key, partition, report)

    def _flush(self) -> None:
        """Send all messages now: nothing lingers during a flush.

        It may return before they are acknowledged: after the linger time all are due anyway.
        """
        try:
            self._producer.flush(_LINGER_MS / 1000)
        except KafkaException as error:
            # The answer to an earlier message: ``settled`` raises it after the acknowledged ones.
            self._fail(error)

    def _collect(self) -> tuple[list[Delivery], KafkaError | Exception | None]:
        failure = self._failure  # read first: reports before it are then in the queue
        settled: list[Delivery] = []
        for _ in range(len(self._reports)):
            (deliveries, topic, partition), offset = self._reports.popleft()
            settled += deliveries
            # It is negative if the broker does not report it.
            if offset is not None and offset >= 0 and topic == self._settings.kafka.topic:
                self._offsets[partition] = offset + 1
        return settled, failure

    def _classify(self, error: KafkaError | BaseException) -> BridgeError:
        return classify(error, self._latest_warning.recent())

    def _poll(self) -> None:
        try:
            while not self._closing.is_set():
                if not self._has_messages.wait(_IDLE_SECONDS):
                    self._look_for_topic()
                self._has_messages.clear()
                while len(self._producer) and not self._closing.is_set():
                    self._producer.poll(_POLL_SECONDS)
        except Exception as error:  # the thread must not die unnoticed
            # librdkafka reports fatal errors in this way too.
            if not (self._closing.is_set() or isinstance(error, KafkaException)):
                logger.exception("polling librdkafka failed; the producer is discarded")
            self._fail(error)

    def _look_for_topic(self) -> None:
        """Note that the topic was deleted; without messages librdkafka would not report it."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + timeouts.METADATA_SECONDS
        topic = self._settings.kafka.topic
        with suppress(KafkaException):  # no broker answers
            known = self._producer.list_topics(topic, timeout=_LOOK_SECONDS).topics.get(topic)
            if known and known.error and known.error.code() in _MISSING_TOPIC:
                self._fail(deleted_topic_error(topic))

    def _fail(self, error: KafkaError | Exception) -> None:
        self._failure = self._failure or error
        self._wake.set()

    def _reported(self, group: _Group, error: KafkaError | None, last: Message) -> None:
        if error is not None:
            is_missing = error.code() in _MISSING_TOPIC
            self._fail(deleted_topic_error(group.topic) if is_missing else error)
            return
        self._reports.append((group, last.offset()))
        if not self._wake.is_set():
            self._wake.set()
