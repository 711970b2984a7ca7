"""The cost of a transition in calls of the bridge's own functions: equal on every machine."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import bson
from bson.objectid import ObjectId

import bridge
from bridge.clock import SystemClock
from bridge.model.message import MessageFormat
from bridge.model.policy import CheckpointPolicy, DeadLetterBrake
from bridge.model.transition import Batch
from bridge.model.window import Delivery, Sending, Window
from bridge.mongo.decoder import OPTIONS
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.loop import Loop, LoopContext
from bridge.pipeline.metered_sink import MeteredSink
from bridge.pipeline.progress import Progress
from bridge.pipeline.publisher import Publisher
from bridge.pipeline.pulse import Pulse
from tests.support.decoding import decoder
from tests.support.factories import at, checkpoint, inserted, pushed
from tests.support.fakes import FakeStore, InlineExecutor, SharedCheckpoint

JOBS, TRANSITIONS = 100, 20
HOUSE = str(Path(bridge.__file__).parent)
#: Python calls for each transition, about a tenth of a microsecond each: raise it knowingly.
MOST_CALLS = 14.0


class BsonStream:
    """One batch as the server shapes it, still BSON, as the reader hands it over."""

    def __init__(self) -> None:
        keys = [ObjectId() for _ in range(JOBS)]
        raws = [inserted(number + 1, key=key, job_id=str(key)) for number, key in enumerate(keys)]
        for index in range(TRANSITIONS):
            raws += [
                pushed(len(raws) + 1 + number, index, key=key) for number, key in enumerate(keys)
            ]
        self._data: bytes | None = b"".join(bson.encode(raw) for raw in raws)
        self._decoder = decoder()

    def read(self) -> Batch | None:
        data, self._data = self._data, None
        if data is None:
            return None
        events = self._decoder.decode(bson.decode_all(data, OPTIONS))
        return Batch(events, events[-1].position)


class InstantSink:
    """Acknowledges at once; its calls are not counted."""

    broken = False
    topic_id = ""

    def __init__(self) -> None:
        self._sent: list[Delivery] = []

    def max_message_bytes(self, topic: str) -> int:
        return 1_000_000

    def send(self, sendings: Sequence[Sending]) -> None:
        self._sent += [delivery for _, delivery in sendings]

    def offsets(self) -> dict[int, int]:
        return {}

    def settled(self) -> list[Delivery]:
        settled, self._sent = self._sent, []
        return settled


class StopWhenSettled:
    """Stops the loop once everything is acknowledged."""

    def __init__(self, window: Window, context: PipelineContext) -> None:
        self._window = window
        self._context = context

    def turned(self) -> None:
        if not self._window and self._context.counters.acked:
            self._context.pulse.stop.set()


def test_calls_for_each_transition_are_few() -> None:
    clock = SystemClock()
    context = PipelineContext(Pulse(clock))
    sink = InstantSink()
    window = Window(at(0), 10_000, 10**9)
    metered = MeteredSink(sink, clock, context.counters, recent=context.recent)
    publisher = Publisher(
        metered,
        window,
        MessageFormat("jobs", "source", cloudevents=False),
        brake=DeadLetterBrake(1),
        context=context,
        dead_letter_oversize=True,
    )
    store = FakeStore(SharedCheckpoint(clock))
    store.acquire()
    progress = Progress(
        store,
        checkpoint(0),
        CheckpointPolicy(),
        renew_seconds=3.0,
        context=context,
        executor=InlineExecutor(),
    )
    watch = StopWhenSettled(window, context)
    loop_context = LoopContext(window, publisher, progress, context.pulse, watch)
    calls = counted(Loop(BsonStream(), metered, loop_context))
    acked = context.counters.acked

    assert acked == JOBS * TRANSITIONS
    assert progress.position > at(JOBS * TRANSITIONS)
    assert 3 < calls.total() / acked <= MOST_CALLS, [
        (name, round(count / acked, 2)) for name, count in calls.most_common(15)
    ]


def counted(loop: Loop) -> Counter[str]:
    """Run the loop and count the calls of the bridge's own functions."""
    calls: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(HOUSE):
            calls[frame.f_code.co_qualname] += 1

    sys.setprofile(note)
    try:
        loop.run()
    finally:
        sys.setprofile(None)
    return calls
