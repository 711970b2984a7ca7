"""A broker in memory, and its sink."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from zlib import crc32

from bridge.errors import BridgeError, Retryable
from bridge.model.message import Message, Record
from bridge.model.window import Delivery, Sending

#: When each record was sent, in Unix seconds.
SENT = 1_700_003_600.0


class FakeBroker:
    """Topics with partitions that keep their messages."""

    PARTITIONS = 3

    def __init__(self, *topics: str, max_bytes: int = 1_000_000) -> None:
        self.max_bytes = max_bytes
        self.main_topic = topics[0] if topics else ""
        self.topic_id = f"{1:032x}"
        self.partitions: dict[str, list[list[Message]]] = {
            name: [[] for _ in range(self.PARTITIONS)] for name in topics
        }

    def messages(self, topic: str) -> list[Message]:
        return [message for partition in self.partitions[topic] for message in partition]

    def partition_of(self, topic: str, key: bytes) -> list[Message]:
        """The partition of a key."""
        return self.partitions[topic][partition_number(key)]


def partition_number(key: bytes) -> int:
    """The partition of a key in every topic."""
    return crc32(key) % FakeBroker.PARTITIONS


class FakeTailReader:
    """See :class:`bridge.pipeline.ports.TailReader`; times are not kept, so all is read by time."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self.ends: Mapping[int, int] = {}

    def read_from(
        self, topic: str, offsets: Mapping[int, int], since: float | None
    ) -> Iterator[list[Record]]:
        partitions = self._broker.partitions[topic]
        for number, messages in enumerate(partitions):
            yield self._records(number, messages, offsets.get(number, 0))
        self.ends = {number: len(messages) for number, messages in enumerate(partitions)}

    def latest(self, topic: str, count: int) -> list[Record]:
        return [
            record
            for number, messages in enumerate(self._broker.partitions[topic])
            for record in self._records(number, messages, max(0, len(messages) - count))
        ]

    def _records(self, number: int, messages: list[Message], start: int) -> list[Record]:
        return [
            Record(number, start + index, SENT, message.key, message.value, message.headers)
            for index, message in enumerate(messages[start:])
        ]


class FakeSink:
    """See :class:`bridge.pipeline.ports.Sink`; messages wait for ``write`` or ``acknowledge``."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self._waiting: dict[int, deque[tuple[Message, Delivery]]] = {}
        self._answers: deque[Delivery | BridgeError] = deque()
        self._offsets: dict[int, int] = {}
        #: Topic, partition and next offset of each written delivery, by its id.
        self._ends: dict[int, tuple[str, int, int]] = {}
        self.broken = False
        self.sent = 0

    @property
    def in_flight(self) -> int:
        return sum(map(len, self._waiting.values()))

    def max_message_bytes(self, topic: str) -> int:
        return self._broker.max_bytes if topic in self._broker.partitions else 0

    def send(self, sendings: Sequence[Sending]) -> None:
        if self.broken:
            raise Retryable("the sink is broken")
        self.sent += len(sendings)
        for message, delivery in sendings:
            partition = self._broker.partition_of(message.topic, message.key)
            self._waiting.setdefault(id(partition), deque()).append((message, delivery))

    @property
    def topic_id(self) -> str:
        return self._broker.topic_id

    def offsets(self) -> dict[int, int]:
        """The offsets in the broker's first topic, by partition."""
        return dict(self._offsets)

    def settled(self) -> list[Delivery]:
        settled: list[Delivery] = []
        while self._answers:
            answer = self._answers[0]
            if isinstance(answer, BridgeError):
                if settled:
                    break
                self._answers.popleft()
                self.broken = True
                raise answer
            settled.append(answer)
            self._answers.popleft()
            topic, number, end = self._ends.pop(id(answer))
            if topic == self._broker.main_topic:
                self._offsets[number] = end
        return settled

    def complaint(self) -> str:
        """The client's latest warning."""
        return "connection refused"

    def acknowledge(self, max_messages: int = 1_000_000) -> None:
        """Write and acknowledge up to ``max_messages`` of each partition's oldest messages."""
        for waiting in self._waiting.values():
            self._answers.extend(self._write(waiting, max_messages))

    def acknowledge_key(self, key: str, topic: str = "jobs") -> None:
        """Write and acknowledge the oldest message in the partition of ``key``."""
        self._answers.extend(
            self._write(self._waiting[id(self._broker.partition_of(topic, key.encode()))], 1)
        )

    def write(self, max_messages: int) -> None:
        """The broker writes messages, and the answer is lost."""
        for waiting in self._waiting.values():
            self._write(waiting, max_messages)

    def fail(self, error: BridgeError) -> None:
        """The oldest message fails."""
        self._answers.append(error)

    def _write(self, waiting: deque[tuple[Message, Delivery]], max_messages: int) -> list[Delivery]:
        written = []
        for _ in range(min(max_messages, len(waiting))):
            message, delivery = waiting.popleft()
            partition = self._broker.partition_of(message.topic, message.key)
            partition.append(message)
            self._ends[id(delivery)] = (
                message.topic,
                partition_number(message.key),
                len(partition),
            )
            written.append(delivery)
        return written
