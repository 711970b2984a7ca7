"""Hands messages to librdkafka's producer and reports, in order, what became of them.

librdkafka batches and talks to the brokers on threads of its own, outside of Python. It may drop a
message for good (``message.timeout.ms``) or call the whole producer lost (``_FATAL``): so nothing is
ever given up, and after any failure the producer is discarded.

Its delivery reports come in order per partition. With the gapless guarantee a message that fails
takes all behind it in its partition with it, so of the messages of one partition that are handed
over together only the last is asked about: its report is that of all. A report for each would cost
as much as handing it over.

It begins to send with the first message it sees, that one alone, unless it lingers; and it lingers in
whole milliseconds. So a few messages are hurried along, and many linger: they are a backlog, of which it
then makes half as many requests (docs/benchmarks.md).
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Producer

from bridge.errors import BridgeError
from bridge.kafka import timeouts
from bridge.kafka.errors import discarded
from bridge.kafka.librdkafka.client import LOGGER, connection, latest_warning
from bridge.kafka.librdkafka.errors import classify
from bridge.kafka.librdkafka.topics import LibrdkafkaTopics
from bridge.kafka.partitioner import Partitioner
from bridge.kafka.topics import Topic, admitted
from bridge.model.window import Delivery, Sending
from bridge.settings import Settings

logger = logging.getLogger(__name__)

#: How soon it hears that it is to close while messages are on their way, and how often it looks for complaints while none is.
_POLL_SECONDS, _LOOK_SECONDS = 0.25, 1.0
_LINGER_MS = 1
#: So many messages at once, and more, are a backlog.
_MANY = 100
#: The smallest and the largest value librdkafka takes for message.max.bytes, and for its queue in kB.
_LEAST_BYTES, _MOST_BYTES, _MOST_KBYTES = 1_000, 1_000_000_000, 2_147_483_647


class LibrdkafkaSink:
    """One producer for one run of the loop; a context manager. See :class:`bridge.pipeline.ports.Sink`.

    Entering checks the topic. Delivery reports arrive while ``send`` hurries, or on a thread that polls for those of
    messages that are then still on their way; they only append to a queue and set ``wake``.
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
        self._reports: deque[list[Delivery]] = deque()
        self._failure: KafkaError | Exception | None = None
        self._closing, self._unheard = threading.Event(), threading.Event()
        self._poller = threading.Thread(target=self._poll, name="librdkafka-poll", daemon=True)
        self.broken = False

    def __enter__(self) -> Self:
        self._topics = admitted(
            LibrdkafkaTopics(self._settings), self._topic, self._dead_letter_topic
        )
        self._lanes = Partitioner(
            {name: topic.partitions for name, topic in self._topics.items()},
            lambda topic, number: (topic, number),
        )
        self._words.install()
        try:
            self._producer = Producer(
                connection(self._settings, self._words) | self._options(),
                logger=logging.getLogger(LOGGER),
            )
        except KafkaException as error:
            raise self._verdict(error) from error
        self._poller.start()
        return self

    def _options(self) -> dict[str, Any]:
        limits = [topic.takes() for topic in self._topics.values()]
        patience = timeouts.GIVE_UP_SECONDS
        return {
            "acks": "all",
            "enable.idempotence": True,
            # A message that fails stops the producer: what was sent behind it must not arrive before it.
            "enable.gapless.guarantee": True,
            # 0 is never.
            "message.timeout.ms": 0 if patience is None else timeouts.milliseconds(patience),
            "request.timeout.ms": timeouts.milliseconds(timeouts.REQUEST_SECONDS),
            "linger.ms": _LINGER_MS,
            # While one request is on its way the next batches fill: fewer and larger ones, and nothing waits otherwise.
            "max.in.flight.requests.per.connection": 1,
            "batch.size": max(1, min(timeouts.BATCH_BYTES, *limits)),
            "message.max.bytes": min(_MOST_BYTES, max(_LEAST_BYTES, *limits)),
            "compression.type": self._settings.kafka.compression,
            # The window bounds what is in flight.
            "queue.buffering.max.messages": 0,
            "queue.buffering.max.kbytes": _MOST_KBYTES,
        }

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the producer for good: what is still in its buffers is not delivered later."""
        self._closing.set()
        self._unheard.set()
        self._producer.purge()
        self._poller.join(timeouts.CLOSE_SECONDS)
        with suppress(KafkaException):  # it calls the producer broken once more: by what is purged
            self._producer.flush(0)
        del self._producer

    def max_message_bytes(self, topic: str) -> int:
        """The largest message the topic takes, in bytes; 0 when it was not there when this producer was made."""
        found = self._topics.get(topic)
        return found.takes() if found else 0

    def send(self, sendings: Sequence[Sending]) -> None:
        """Hand messages over. Raises what it means when the producer does not take them, and :class:`Retryable` when it takes no more."""
        if self.broken:
            raise discarded()
        try:
            for (topic, partition), together in self._lanes.together(sendings).items():
                self._hand_over(topic, partition, together)
            if 0 < len(sendings) < _MANY:
                self._hurry()
            if len(self._producer):
                self._unheard.set()
        except (KafkaException, BufferError) as error:
            self.broken = True
            raise self._verdict(error) from error

    def _hand_over(self, topic: str, partition: int, sendings: Sequence[Sending]) -> None:
        produce, last = self._producer.produce, sendings[-1]
        reported = partial(self._reported, [delivery for _, delivery in sendings])
        for sending in sendings:
            _, key, value, headers = sending[0]
            report = reported if sending is last else None
            if headers:
                produce(topic, value, key, partition, report, headers=headers)  # type: ignore[arg-type]  # its list is invariant
            else:  # an empty list costs as much as a third of the rest
                produce(topic, value, key, partition, report)

    def _hurry(self) -> None:
        """Have what was handed over sent at once: nothing lingers while librdkafka flushes.

        It flushes until all is acknowledged, at most as long as it would have lingered: then all is due anyway.
        """
        try:
            self._producer.flush(_LINGER_MS / 1000)
        except (
            KafkaException
        ) as error:  # an answer of before; ``settled`` tells, after what was acknowledged
            self._fail(error)

    def settled(self) -> list[Delivery]:
        """The deliveries acknowledged since the last call; raises what a failed one means when there are none, once."""
        if self.broken:
            return []
        failure, settled = self._failure, list[Delivery]()
        for _ in range(len(self._reports)):
            settled += self._reports.popleft()
        if failure is not None and not settled:
            self.broken = True
            raise self._verdict(failure)
        return settled

    def complaint(self) -> str:
        """What the client last said of its troubles; empty when nothing lately."""
        return self._words.recent()

    def _verdict(self, error: KafkaError | BaseException) -> BridgeError:
        return classify(error, self._words.recent())

    def _poll(self) -> None:
        try:
            while not self._closing.is_set():
                self._unheard.wait(_LOOK_SECONDS)
                self._unheard.clear()
                while len(self._producer) and not self._closing.is_set():
                    self._producer.poll(_POLL_SECONDS)
        except Exception as error:  # the thread must not die unnoticed
            if not (
                self._closing.is_set() or isinstance(error, KafkaException)
            ):  # its fatal errors come this way too
                logger.exception("polling librdkafka failed")
            self._fail(error)

    def _fail(self, error: KafkaError | Exception) -> None:
        self._failure = self._failure or error
        self._wake.set()

    def _reported(
        self, deliveries: list[Delivery], error: KafkaError | None, _message: Any
    ) -> None:
        if error is not None:
            self._fail(error)
            return
        self._reports.append(deliveries)
        if not self._wake.is_set():
            self._wake.set()
