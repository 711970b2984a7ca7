"""Writes a partition's messages into kafka-python's batches and reports them batch by batch.

The producer's ``send`` would check each message and make a future for it, which costs more than all
other work of the bridge. A broker accepts or rejects a batch as a whole, so the future of its first
message stands for all messages that are written after it into the same buffer.
"""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

from kafka.producer.future import FutureRecordMetadata

from bridge.kafka.kafka_python.producer_patches import PartitionQueue
from bridge.model.window import Delivery, Sending


class PartitionBatches:
    """The unreported messages of a partition, in order; for a single thread.

    Args:
        queue: The producer's batches; nothing else writes to them, and no batch may be split.
        wake: Is set when the oldest batch is answered.
        offsets: Gets the offset after the latest settled message, by partition.
    """

    __slots__ = ("_offsets", "_queue", "_sent", "_wake", "topic")

    def __init__(
        self, queue: PartitionQueue, wake: threading.Event, offsets: MutableMapping[int, int]
    ) -> None:
        self.topic: str = queue.partition.topic
        self._offsets = offsets
        self._queue = queue
        self._wake = wake
        #: The future and the deliveries of each batch; only the last batch may have room.
        self._sent: deque[tuple[FutureRecordMetadata, list[Delivery]]] = deque()

    @property
    def unanswered(self) -> bool:
        """Whether messages were appended and not settled."""
        return bool(self._sent)

    def append(self, sendings: Iterable[Sending], milliseconds: int) -> None:
        """Append messages with this timestamp (Unix milliseconds). Raises kafka-python's errors."""
        remaining = iter(sendings)
        while (sending := self._fill_last_batch(remaining, milliseconds)) is not None:
            self._start_batch(sending, milliseconds)

    def _fill_last_batch(self, remaining: Iterator[Sending], milliseconds: int) -> Sending | None:
        """Return the first message that does not fit; None if all are written."""
        # The sender closes a batch under this lock, so each message is in it or not.
        with self._queue.lock:
            append = self._queue.appender()
            for sending in remaining:
                (_, key, value, headers), delivery = sending
                if append(milliseconds, key, value, headers) is None:
                    return sending
                self._sent[-1][1].append(delivery)
        return None

    def _start_batch(self, sending: Sending, milliseconds: int) -> None:
        (_, key, value, headers), delivery = sending
        future = self._queue.start_batch(milliseconds, key, value, headers)
        if not self._sent:
            self._wake_after(future)
        self._sent.append((future, [delivery]))

    def settle(self, settled: list[Delivery]) -> BaseException | None:
        """Move the acknowledged deliveries, oldest first, to ``settled``; return a failure."""
        sent = self._sent
        moved = False
        while sent and sent[0][0].is_done:
            future, deliveries = sent[0]
            if future.exception is not None:
                failure: BaseException = future.exception
                return failure
            settled += deliveries
            self._note_offset(future.value.offset, len(deliveries))
            sent.popleft()
            moved = True
        if sent and moved:
            self._wake_after(sent[0][0])
        return None

    def _note_offset(self, first: int, count: int) -> None:
        """Remember the end of a batch, which is written in a row."""
        if first >= 0:  # -1 if the broker does not report it
            self._offsets[self._queue.partition.partition] = first + count

    def _wake_after(self, future: FutureRecordMetadata) -> None:
        future.add_both(self._set_wake)

    def _set_wake(self, _: Any) -> None:
        self._wake.set()
