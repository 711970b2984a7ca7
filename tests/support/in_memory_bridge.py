"""A bridge in memory: each session is built as ``bridge.app.session`` builds it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bridge.model.checkpoint import Checkpoint
from bridge.model.message import Message, MessageFormat
from bridge.model.policy import CheckpointPolicy, DeadLetterBrake
from bridge.model.position import Position
from bridge.model.topic_offsets import TopicOffsets
from bridge.model.transition import Transition
from bridge.model.window import Window
from bridge.observability.counters import Counters
from bridge.observability.recent import RecentDeliveries
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.ledger import Ledger
from bridge.pipeline.loop import Loop, LoopContext
from bridge.pipeline.metered_sink import MeteredSink
from bridge.pipeline.omitting_sink import OmittingSink
from bridge.pipeline.ports import Sink, Stream
from bridge.pipeline.progress import Progress
from bridge.pipeline.publisher import Publisher
from bridge.pipeline.pulse import Pulse
from tests.support.factories import checkpoint
from tests.support.fake_kafka import FakeTailReader
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


def _nothing() -> None:
    pass


class InMemoryBridge:
    """The log, the broker and the stored checkpoint outlive the processes of the bridge.

    - ``start_process`` starts a process: it knows only what is stored.
    - ``new_session`` starts another session of the same process, at the settled position.
    - ``make_sink`` and ``make_stream`` are for subclasses.
    """

    def __init__(
        self,
        *,
        messages: int = 100,
        size: int = 10**9,
        batch: int = 2,
        dead_letters: int = 10,
        dead_letter_oversize: bool = True,
        topics: tuple[str, ...] = ("jobs", "jobs-dlq"),
        max_bytes: int = 1_000_000,
        counters: Callable[[], Counters] = Counters,
        read_back: bool = True,
    ) -> None:
        self.clock = FakeClock()
        self.log = Log()
        self.broker = FakeBroker(*topics, max_bytes=max_bytes)
        self.shelf = SharedCheckpoint(self.clock)
        self._messages = messages
        self._size = size
        self._batch = batch
        self._dead_letters = dead_letters
        self._dead_letter_oversize = dead_letter_oversize
        self._make_counters = counters
        self._read_back = read_back
        self.sessions = 0
        self.start_process()

    def start_process(self) -> None:
        """Start a process, which becomes the owner of the checkpoint."""
        self.counters = self._make_counters()
        self.stop = threading.Event()
        self.wake = FakeWake(self.clock)
        self.pulse = Pulse(self.clock, wake=self.wake, stop=self.stop)
        self.context = PipelineContext(self.pulse, self.counters)
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
            renew_seconds=RENEW_SECONDS,
            context=self.context,
            executor=InlineExecutor(),
        )
        self._brake = DeadLetterBrake(self._dead_letters)
        self.new_session()

    def new_session(self) -> None:
        """Start another session, at the settled position."""
        self.sessions += 1
        self.wake.clear()
        self.wake.meanwhile = _nothing
        self.window = Window(self.progress.position, self._messages, self._size)
        self.sink = self.make_sink()
        self.stream = self.make_stream()
        metered = MeteredSink(self.sink, self.clock, self.counters, recent=RecentDeliveries())
        self.top = self._omit_present(metered)
        self.publisher = Publisher(
            self.top,
            self.window,
            MessageFormat("jobs", "source", cloudevents=False),
            brake=self._brake,
            context=self.context,
            dead_letter_oversize=self._dead_letter_oversize,
        )
        self._steps: list[Step] = []
        context = LoopContext(self.window, self.publisher, self.progress, self.pulse, watch=self)
        self.loop = Loop(self.stream, self.top, context)

    def _omit_present(self, sink: Sink) -> Sink:
        """Read the topic back and wrap the sink, as a session does."""
        newest, sent, topic = self.log.position, self.context.sent, self.broker.main_topic
        offsets = self.progress.offsets
        if not self._read_back or not self.progress.may_have_sent:
            offsets.open_session(self.sink)
            self.progress.start_sending(newest)
            return sink
        known = offsets.confirmed.by_partition if offsets.confirmed else {}
        reader, ledger = FakeTailReader(self.broker), Ledger()
        for records in reader.read_from(topic, known, None):
            ledger.add_records(records)
        ends = TopicOffsets(self.sink.topic_id, reader.ends)
        offsets.open_session(self.sink, ends, newest)
        self.progress.start_sending(newest)
        sent.read_back = newest
        return OmittingSink(sink, ledger, self.context, topic=topic, until=newest)

    def make_sink(self) -> FakeSink:
        return FakeSink(self.broker)

    def make_stream(self) -> Stream:
        return FakeStream(self.log, self.progress.position, self._batch)

    def run(self, *steps: Step) -> None:
        """Turn the loop once for each step, which happens at the end of the turn; then stop it."""
        self.stop.clear()
        self._steps = list(steps)
        self.loop.run()

    def turn(self, times: int = 1) -> None:
        """Turn the loop while nothing else happens."""
        self.run(*[_nothing] * times)

    def turned(self) -> None:
        """Do the next step; see :class:`bridge.pipeline.loop.Watch`."""
        if self._steps:
            self._steps.pop(0)()
        if not self._steps:
            self.stop.set()

    @property
    def reads(self) -> int:
        """How often the stream was read in this session."""
        assert isinstance(self.stream, FakeStream)
        return self.stream.reads

    @property
    def stored(self) -> Checkpoint:
        stored = self.store.load()
        assert stored is not None
        return stored

    @property
    def position(self) -> Position:
        return self.progress.position

    def delivered(self, topic: str = "jobs") -> list[Message]:
        return self.broker.messages(topic)

    def values(self) -> list[bytes]:
        return [message.value for message in self.delivered()]

    def expected(self) -> list[bytes]:
        """Return the values of the messages for all events of the log."""
        message_format = MessageFormat("jobs", "source", cloudevents=False)
        return [
            message_format.message(item, b"").value
            for event in self.log.events
            for item in event.items
            if isinstance(item, Transition)
        ]


def filled(events: int, **options: int) -> InMemoryBridge:
    """Return a bridge whose stream has this many events."""
    bridge = InMemoryBridge(**options)  # type: ignore[arg-type]
    for _ in range(events):
        bridge.log.append()
    return bridge
