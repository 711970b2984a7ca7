"""One partition's messages inside kafka-python's producer: written into its batches, and reported a batch at a time.

The producer's ``send`` looks at the topic, the partition and the size of each message anew, and makes a future of locks
and lists for it: half of the bridge's time (docs/benchmarks.md). A broker takes or refuses a batch as a whole, so the
future of its first message tells of all the others, which are written behind it into the same buffer.
"""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from kafka.producer.future import FutureRecordMetadata
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.structs import TopicPartition

from bridge.model.window import Delivery, Sending


class Lane:
    """What was handed over for one partition and has not been reported, in order. For one thread.

    ``accumulator`` has the batches; no other writes to this partition through it, and none of its batches may be split.
    ``wake`` is set when the oldest batch is answered.
    """

    __slots__ = ("_accumulator", "_sent", "_wake", "partition")

    def __init__(
        self, partition: TopicPartition, accumulator: RecordAccumulator, wake: threading.Event
    ) -> None:
        self.partition = partition
        self._accumulator = accumulator
        self._wake = wake
        #: The future of each batch and what is in it; only the last may have room.
        self._sent: deque[tuple[FutureRecordMetadata, list[Delivery]]] = deque()

    def take(self, sendings: Iterable[Sending], milliseconds: int) -> None:
        """Put messages behind the others, with this timestamp (Unix milliseconds). Raises kafka-python's errors."""
        rest = iter(sendings)
        while (first := self._follow(rest, milliseconds)) is not None:
            self._begin(first, milliseconds)

    def _follow(self, rest: Iterator[Sending], milliseconds: int) -> Sending | None:
        """Write into the last batch what it has room for; the first message that it has none for, None when all are written."""
        batches = self._accumulator._batches[self.partition]
        with self._accumulator._tp_lock(
            self.partition
        ):  # the sender takes a batch away, and what is in it then, under this lock
            append = batches[-1].records.append if batches else _no_room
            for sending in rest:
                (_, key, value, headers), delivery = sending
                if append(milliseconds, key, value, headers) is None:
                    return sending
                self._sent[-1][1].append(delivery)
        return None

    def _begin(self, sending: Sending, milliseconds: int) -> None:
        """Let kafka-python begin a batch with this message."""
        (_, key, value, headers), delivery = sending
        future = self._accumulator.append(self.partition, milliseconds, key, value, headers)[0]
        if not self._sent:
            self._await(future)
        self._sent.append((future, [delivery]))

    def settle(self, settled: list[Delivery]) -> BaseException | None:
        """Move what the broker has acknowledged, from the oldest on, to ``settled``; return the first failure."""
        sent, moved = self._sent, False
        while sent and sent[0][0].is_done:
            future, deliveries = sent[0]
            if future.exception is not None:
                failure: BaseException = future.exception
                return failure
            settled += deliveries
            sent.popleft()
            moved = True
        if sent and moved:
            self._await(sent[0][0])
        return None

    def _await(self, future: FutureRecordMetadata) -> None:
        future.add_both(self._answered)

    def _answered(self, _: Any) -> None:
        self._wake.set()


def _no_room(*_: Any) -> None:
    """There is no batch."""
