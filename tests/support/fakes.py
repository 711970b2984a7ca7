"""Fakes for the pipeline: a clock, a stream and checkpoints; ``fake_kafka`` has the broker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from bridge.errors import BridgeError, Retryable
from bridge.model.position import Position
from bridge.model.transition import Batch, Event, Poison, Transition
from tests.support.factories import at, event
from tests.support.fake_kafka import FakeBroker, FakeSink
from tests.support.fake_store import FakeStore, SharedCheckpoint

__all__ = [
    "FakeBroker",
    "FakeClock",
    "FakeSink",
    "FakeStore",
    "FakeStream",
    "FakeWake",
    "InlineExecutor",
    "Log",
    "SharedCheckpoint",
]


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
