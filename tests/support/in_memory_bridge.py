"""A whole bridge in memory: each run is built as the service builds it, from what is stored."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bridge.model.checkpoint import Checkpoint
from bridge.model.message import Message, MessageFormat
from bridge.model.policy import CheckpointPolicy, DeadLetterBrake
from bridge.model.position import Position
from bridge.model.transition import Transition
from bridge.model.window import Window
from bridge.observability.metrics import Counters
from bridge.pipeline.loop import Loop
from bridge.pipeline.metered_sink import MeteredSink
from bridge.pipeline.progress import Progress
from bridge.pipeline.publisher import Publisher
from tests.support.factories import checkpoint
from tests.support.fakes import (
    FakeBroker,
    FakeClock,
    FakeSink,
    FakeStore,
    FakeStream,
    FakeWake,
    InlineExecutor,
    Log,
    SharedCheckpoint,
)

RENEW_SECONDS = 3.0

Step = Callable[[], object]


class Rig:
    """The world outlives its bridges; ``begin`` starts a process, ``again`` another run of the same one."""

    def __init__(
        self,
        *,
        messages: int = 100,
        size: int = 10**9,
        batch: int = 2,
        dead_letters: int = 10,
        set_aside: bool = True,
        topics: tuple[str, ...] = ("jobs", "jobs-dlq"),
        most: int = 1_000_000,
    ) -> None:
        self.clock, self.log, self.broker = FakeClock(), Log(), FakeBroker(*topics, most=most)
        self.shelf = SharedCheckpoint(self.clock)
        self._messages, self._size, self._batch = messages, size, batch
        self._dead_letters, self._set_aside = dead_letters, set_aside
        self.begin()

    def begin(self) -> None:
        """A process starts: only what is stored is known."""
        self.counters, self.stop = Counters(), threading.Event()
        self.store = FakeStore(self.shelf)
        self.shelf.owner = None
        assert self.store.acquire() == ""
        stored = self.store.load()
        if stored is None:
            stored = checkpoint(0)
            self.store.save(stored)
        self.progress = Progress(
            self.store,
            stored,
            CheckpointPolicy(),
            RENEW_SECONDS,
            self.clock,
            self.counters,
            InlineExecutor(),
        )
        self._brake = DeadLetterBrake(self._dead_letters)
        self.again()

    def again(self) -> None:
        """The process begins another run, at the settled position."""
        self.wake = FakeWake(self.clock)
        self.window = Window(self.progress.position, self._messages, self._size)
        self.sink = FakeSink(self.broker)
        self.stream = FakeStream(self.log, self.progress.position, self._batch)
        counted = MeteredSink(self.sink, self.clock, self.counters)
        self.publisher = Publisher(
            counted,
            self.window,
            MessageFormat("jobs", "source", cloudevents=False),
            self._brake,
            self.clock,
            self.counters,
            set_aside_oversize=self._set_aside,
        )
        self._steps: list[Step] = []
        self.loop = Loop(
            self.stream,
            counted,
            self.window,
            self.publisher,
            self.progress,
            self.wake,
            self.stop,
            self.clock,
            self.counters,
            self._on_turn,
        )

    def run(self, *steps: Step) -> None:
        """Turn the loop once for each step, which happens at the end of its turn; then ask it to stop."""
        self.stop.clear()
        self._steps = list(steps)
        self.loop.run()

    def turn(self, times: int = 1) -> None:
        """Turn the loop without anything happening meanwhile."""
        self.run(*[lambda: None] * times)

    def _on_turn(self) -> None:
        if self._steps:
            self._steps.pop(0)()
        if not self._steps:
            self.stop.set()

    @property
    def stored(self) -> Checkpoint:
        found = self.store.load()
        assert found is not None
        return found

    @property
    def position(self) -> Position:
        return self.progress.position

    def delivered(self, topic: str = "jobs") -> list[Message]:
        return self.broker.messages(topic)

    def values(self) -> list[bytes]:
        return [one.value for one in self.delivered()]

    def expected(self) -> list[bytes]:
        """The values of everything in the log."""
        form = MessageFormat("jobs", "source", cloudevents=False)
        return [
            form.message(item, b"").value
            for event in self.log.events
            for item in event.items
            if isinstance(item, Transition)
        ]
