"""The delivery modes: what each puts around the stream and the sink, and when a position is stored.

The loop is the same for all. The four that the design of the CDM Task Service's notifications weighs
are here, and ``at-least-once``; ``docs/delivery-modes.md`` compares them.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from bridge.clock import Clock
from bridge.delivery.fire_and_forget import FireAndForgetSink
from bridge.delivery.sweeping_stream import SweepingStream, TaggingStream
from bridge.delivery.synchronous import SynchronousSink
from bridge.delivery.untagging_sink import InFlight, UntaggingSink
from bridge.model.policy import CheckpointPolicy
from bridge.model.window import Window
from bridge.mongo.source import MongoSource
from bridge.observability.metrics import Counters
from bridge.pipeline.ports import Sink, Stream
from bridge.pipeline.progress import Progress
from bridge.settings import Settings

logger = logging.getLogger("bridge")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the loop, as a mode sees it. ``show`` tells the status what is in flight, where it is not the window."""

    progress: Progress
    wake: threading.Event
    stop: threading.Event
    show: Callable[[Window], None]
    #: Called while something is waited for: keeps the ownership of the checkpoint, and is a sign of life.
    keep: Callable[[], None]
    #: What gives the next ones of a source that may take long; None until they are there.
    taking: Callable[[Iterator[Any]], Callable[[int], list[Any] | None]]


def _sink_itself(sink: Sink, _: Run) -> AbstractContextManager[Sink]:
    return nullcontext(sink)


def _stream_itself(stream: Stream, _: Run) -> Stream:
    return stream


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to deliver; ``stalled`` is what it means that Kafka takes nothing."""

    policy: CheckpointPolicy
    messages: int
    around_sink: Callable[[Sink, Run], AbstractContextManager[Sink]] = _sink_itself
    around_stream: Callable[[Stream, Run], Stream] = _stream_itself
    stalled: str = "Nothing is lost: reading waits"


def mode_of(settings: Settings, source: MongoSource, clock: Clock, counters: Counters) -> Mode:
    """The mode ``delivery.mode`` asks for."""
    return _MODES[settings.delivery.mode](settings, source, clock, counters)


def _at_least_once(
    settings: Settings, _source: MongoSource, _clock: Clock, _counters: Counters
) -> Mode:
    return Mode(
        CheckpointPolicy(settings.checkpoint.interval_seconds), settings.delivery.window_messages
    )


def _fire_and_forget(
    settings: Settings, _source: MongoSource, clock: Clock, counters: Counters
) -> Mode:
    delivery = settings.delivery

    @contextmanager
    def forgetting(sink: Sink, run: Run) -> Iterator[Sink]:
        flight = Window(run.progress.position, delivery.window_messages, delivery.window_bytes)
        run.show(flight)
        around = FireAndForgetSink(sink, flight, clock, counters)
        try:
            yield around
        finally:
            around.drain(delivery.drain_seconds, run.wake, run.keep)

    policy = CheckpointPolicy(settings.checkpoint.interval_seconds)
    return Mode(
        policy,
        delivery.window_messages,
        around_sink=forgetting,
        stalled="What comes beyond the window is lost, as fire-and-forget allows",
    )


def _synchronous(
    settings: Settings, _source: MongoSource, clock: Clock, _counters: Counters
) -> Mode:
    delivery = settings.delivery

    def one_by_one(sink: Sink, run: Run) -> AbstractContextManager[Sink]:
        return nullcontext(
            SynchronousSink(
                sink,
                clock,
                run.wake,
                delivery.send_timeout_seconds,
                stop=run.stop,
                drain_seconds=delivery.drain_seconds,
                meanwhile=run.keep,
            )
        )

    return Mode(CheckpointPolicy(0), 1, around_sink=one_by_one)


def _background(settings: Settings, source: MongoSource, clock: Clock, counters: Counters) -> Mode:
    tags, tagger, held = source.tags(), source.tagger(), InFlight()

    def sweeping(stream: Stream, run: Run) -> Stream:
        if missing := source.sweep().missing_index():
            logger.warning(
                "no index serves the sweep: it looks at every job; 'job-bridge sweep --create-index' makes %s",
                missing,
            )
        around: Stream = stream if tagger is None else TaggingStream(stream, tagger)
        return SweepingStream(
            around, tags, held, settings.sweep, run.progress.position, clock, counters, run.taking
        )

    def tagged(sink: Sink, _: Run) -> AbstractContextManager[Sink]:
        held.clear()
        return nullcontext(UntaggingSink(sink, tags, held))

    policy = CheckpointPolicy(settings.checkpoint.interval_seconds)
    return Mode(
        policy, settings.delivery.window_messages, around_sink=tagged, around_stream=sweeping
    )


_MODES: dict[str, Callable[[Settings, MongoSource, Clock, Counters], Mode]] = {
    "at-least-once": _at_least_once,
    "fire-and-forget": _fire_and_forget,
    "synchronous": _synchronous,
    "background-jobs": _background,
    "background-transitions": _background,
}
