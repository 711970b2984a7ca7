"""What one transition costs on its way through the bridge, counted in calls: the same on every machine."""

from __future__ import annotations

import sys
import threading
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
from bridge.model.profile import PROFILES
from bridge.model.transition import Batch
from bridge.model.window import Delivery, Sending, Window
from bridge.mongo.decoder import OPTIONS, Decoder
from bridge.mongo.job_id_cache import JobIdCache
from bridge.observability.metrics import Counters
from bridge.pipeline.loop import Loop
from bridge.pipeline.metered_sink import MeteredSink
from bridge.pipeline.progress import Progress
from bridge.pipeline.publisher import Publisher
from tests.support.factories import at, checkpoint, inserted, pushed
from tests.support.fakes import FakeStore, InlineExecutor, SharedCheckpoint

JOBS, TRANSITIONS = 100, 20
HOUSE = str(Path(bridge.__file__).parent)
#: Of functions of the bridge, in Python. Each is about a tenth of a microsecond: raise it knowingly.
MOST_CALLS = 14.0


class Source:
    """One batch as the server shapes it, still BSON, as the reader hands it over."""

    def __init__(self) -> None:
        keys = [ObjectId() for _ in range(JOBS)]
        raws = [inserted(number + 1, key=key, job_id=str(key)) for number, key in enumerate(keys)]
        for index in range(TRANSITIONS):
            raws += [
                pushed(len(raws) + 1 + number, index, key=key) for number, key in enumerate(keys)
            ]
        self._data: bytes | None = b"".join(bson.encode(raw) for raw in raws)
        self._decoder = Decoder(PROFILES["cts"], JobIdCache(lambda _: []))

    def read(self) -> Batch | None:
        data, self._data = self._data, None
        if data is None:
            return None
        events = self._decoder.decode(bson.decode_all(data, OPTIONS))
        return Batch(events, events[-1].position)


class Sink:
    """Acknowledges at once, and counts for nothing."""

    broken = False

    def __init__(self) -> None:
        self._sent: list[Delivery] = []

    def max_message_bytes(self, topic: str) -> int:
        return 1_000_000

    def send(self, sendings: Sequence[Sending]) -> None:
        self._sent += [delivery for _, delivery in sendings]

    def settled(self) -> list[Delivery]:
        settled, self._sent = self._sent, []
        return settled


def test_calls_for_each_transition_are_few() -> None:
    clock, counters, stop = SystemClock(), Counters(), threading.Event()
    sink, window = Sink(), Window(at(0), 10_000, 10**9)
    publisher = Publisher(
        sink,
        window,
        MessageFormat("jobs", "source", cloudevents=False),
        DeadLetterBrake(1),
        clock,
        counters,
        set_aside_oversize=True,
    )
    store = FakeStore(SharedCheckpoint(clock))
    store.acquire()
    progress = Progress(
        store, checkpoint(0), CheckpointPolicy(), 3.0, clock, counters, InlineExecutor()
    )

    def on_turn() -> None:
        if not window and counters.acked:
            stop.set()

    loop = Loop(
        Source(),
        MeteredSink(sink, clock, counters),
        window,
        publisher,
        progress,
        threading.Event(),
        stop,
        clock,
        counters,
        on_turn,
    )
    calls = counted(loop)

    assert counters.acked == JOBS * TRANSITIONS
    assert progress.position > at(JOBS * TRANSITIONS)
    each = calls.total() / counters.acked
    assert 3 < each <= MOST_CALLS, [
        (name, round(count / counters.acked, 2)) for name, count in calls.most_common(15)
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
