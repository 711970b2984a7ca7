"""Fakes for the pipeline: a clock, a stream and checkpoints; ``fake_kafka`` has the broker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from bridge.clock import Clock
from bridge.errors import BridgeError, CheckpointUnusable, Fenced, Retryable
from bridge.model.checkpoint import Checkpoint, checkpoint_of
from bridge.model.position import Position
from bridge.model.transition import Batch, Event, Poison, Transition
from tests.support.factories import at, event
from tests.support.fake_kafka import FakeBroker, FakeSink

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


@dataclass
class SharedCheckpoint:
    """The record that stores of the same name share, its owner, and its epoch."""

    clock: Clock
    lease: float = 10.0
    record: dict[str, Any] | None = None
    cleared: bool = False
    owner: FakeStore | None = None
    epoch: int = 0
    renewed: float = 0.0
    dead: list[FakeStore] = field(default_factory=list)
    saves: list[Checkpoint] = field(default_factory=list)


class FakeStore:
    """See :class:`bridge.pipeline.ports.CheckpointStore`; ``failure`` fails the next write."""

    def __init__(self, shelf: SharedCheckpoint, name: str = "bridge") -> None:
        self._shelf = shelf
        self.name = name
        self.where = f"memory ({name})"
        self._epoch = 0
        self.failure: BridgeError | None = None
        self.renewals = 0
        self.before_save: Callable[[Checkpoint], None] = lambda _: None

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def cleared(self) -> bool:
        return self._shelf.cleared

    def acquire(self) -> str:
        shelf = self._shelf
        if shelf.owner is self:
            self.renew()
            return ""
        silent = shelf.clock.monotonic() - shelf.renewed > shelf.lease
        if shelf.owner is not None and shelf.owner not in shelf.dead and not silent:
            return f"another bridge owns the checkpoint '{self.name}'"
        shelf.owner, shelf.renewed = self, shelf.clock.monotonic()
        shelf.epoch += 1
        self._epoch = shelf.epoch
        return ""

    def load(self) -> Checkpoint | None:
        if self._shelf.record is None:
            return None
        checkpoint = checkpoint_of(self._shelf.record, self.where)
        if checkpoint.name != self.name:
            raise CheckpointUnusable(f"the checkpoint belongs to {checkpoint.name}")
        return checkpoint

    def save(self, checkpoint: Checkpoint) -> None:
        self.before_save(checkpoint)
        self.renew()
        self._shelf.cleared = False
        self._shelf.record = checkpoint.record() | {"epoch": self._epoch}
        self._shelf.saves.append(checkpoint)

    def renew(self) -> None:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        if self._shelf.owner is not self:
            raise Fenced(f"another bridge took over the checkpoint '{self.name}'")
        self.renewals += 1
        self._shelf.renewed = self._shelf.clock.monotonic()

    def release(self) -> None:
        if self._shelf.owner is self:
            self._shelf.owner = None
        self._epoch = 0

    def replace(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint is not None:
            self.save(checkpoint)
            return
        self.renew()
        self._shelf.cleared = True
        self._shelf.record = None

    def check_rights(self) -> None:
        """Everybody may."""
