"""Fakes for the pipeline: a clock, a stream, a broker with its sink, and checkpoints."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any
from zlib import crc32

from bridge.errors import BridgeError, Retryable
from bridge.model.message import Message
from bridge.model.position import Position
from bridge.model.transition import Batch, Event, Poison, Transition
from bridge.model.window import Delivery, Sending
from tests.support.factories import at, event
from tests.support.fake_store import FakeStore, SharedCheckpoint

__all__ = ["FakeStore", "SharedCheckpoint"]


class FakeClock:
    """Both clocks, which move only with ``advance``."""

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return self.time + 1_700_000_000

    def advance(self, seconds: float) -> None:
        self.time += seconds


class FakeWake(threading.Event):
    """Waiting turns the clock and lets ``meanwhile`` happen, instead of taking time."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.meanwhile: Callable[[], None] = lambda: None

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.advance(timeout or 0.0)
        self.meanwhile()
        return self.is_set()


class Log:
    """A collection's change stream: events, and positions of foreign writes between them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.position = at(0)
        self.failure: BridgeError | None = None
        self._next = 1

    def append(self, *items: Transition | Poison, skipped: str = "") -> Event:
        """One more event; without items and reason, one with a transition."""
        added = event(self._number(), *items, skipped=skipped)
        self.events.append(added)
        self.position = added.position
        return added

    def pass_by(self) -> Position:
        """Something was written elsewhere: the position moves, and there is no event."""
        self.position = at(self._number())
        return self.position

    def end(self) -> None:
        """End the stream after the events so far."""
        self.failure = Retryable("the stream ended")

    def _number(self) -> int:
        self._next += 1
        return self._next - 1


class FakeStream:
    """See :class:`bridge.pipeline.ports.Stream`; ``size`` bounds a batch."""

    def __init__(self, log: Log, start: Position, size: int = 2) -> None:
        self._log = log
        self._position = start
        self._size = size
        self.reads = 0

    def read(self) -> Batch | None:
        self.reads += 1
        later = [event for event in self._log.events if event.position > self._position]
        batch = later[: self._size]
        position = batch[-1].position if len(later) > len(batch) else self._log.position
        if position <= self._position:
            if self._log.failure is not None:
                raise self._log.failure
            return None
        self._position = position
        return Batch(batch, position)


class FakeBroker:
    """Topics with partitions that keep their messages."""

    PARTITIONS = 3

    def __init__(self, *topics: str, max_bytes: int = 1_000_000) -> None:
        self.max_bytes = max_bytes
        self.partitions: dict[str, list[list[Message]]] = {
            name: [[] for _ in range(self.PARTITIONS)] for name in topics
        }

    def messages(self, topic: str) -> list[Message]:
        return [message for partition in self.partitions[topic] for message in partition]

    def partition_of(self, topic: str, key: bytes) -> list[Message]:
        """The partition of a key."""
        return self.partitions[topic][crc32(key) % self.PARTITIONS]


class FakeSink:
    """See :class:`bridge.pipeline.ports.Sink`; messages wait for ``write`` or ``acknowledge``."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self._waiting: dict[int, deque[tuple[Message, Delivery]]] = {}
        self._answers: deque[Delivery | BridgeError] = deque()
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
        return settled

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
            self._broker.partition_of(message.topic, message.key).append(message)
            written.append(delivery)
        return written


class InlineExecutor(Executor):
    """Runs calls at once, or with ``later`` when asked to."""

    def __init__(self) -> None:
        self.later = False
        self._waiting: list[Callable[[], None]] = []

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(call(*arguments, **named))
            except BridgeError as error:
                future.set_exception(error)

        if self.later:
            self._waiting.append(run)
        else:
            run()
        return future

    def catch_up(self) -> None:
        """Run the waiting calls."""
        while self._waiting:
            self._waiting.pop(0)()
