"""The delivery modes: their wrappers, and when a position is stored.

The loop is the same for all. ``docs/delivery-modes.md`` compares them.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, cast

from bridge.delivery.context import ModeContext
from bridge.delivery.exactly_once import ExactlyOnceSink
from bridge.delivery.fire_and_forget import FireAndForgetSink, Losses
from bridge.delivery.sweeping_stream import SweepingStream, TaggingStream
from bridge.delivery.synchronous import SynchronousSink
from bridge.delivery.untagging_sink import InFlight, StillTagged, UntaggingSink
from bridge.hints import Hint
from bridge.model.policy import CheckpointPolicy
from bridge.model.position import Position
from bridge.model.window import Window
from bridge.pipeline.ports import CheckpointStore, Sink, Stream, Tagger, Tags, Transactions
from bridge.pipeline.progress import Progress
from bridge.pipeline.stall_warning import SENT_AGAIN
from bridge.settings import Settings

logger = logging.getLogger("bridge")

#: The window of exactly-once, unless the settings have another.
TRANSACTION_MESSAGES = 10_000


class TagSource(Protocol):
    """The tags of the jobs collection, for the background modes."""

    def tags(self) -> Tags:
        """Return the tags that the settings ask for."""

    def tagger(self) -> Tagger | None:
        """Return the tagger; None where the service sets the tags."""

    def check_tag_rights(self) -> None:
        """Raise the error that removing a tag would raise without permission; changes nothing."""

    def missing_sweep_indexes(self) -> Sequence[str]:
        """Return the names of the indexes that a sweep lacks."""


class Mode:
    """At-least-once: wraps nothing, and stores the position at most once an interval.

    The other modes override its methods.

    Attributes:
        policy: When a position is stored.
        stall_consequence: The consequence for the data when Kafka acknowledges nothing.
        replaced_consequence: The consequence when the producer is replaced because of that.
        rereads_position: Whether a session after a failure starts at the stored position, as it is
            read again, and not at the position in memory.
    """

    rereads_position = False
    stall_consequence = "Reading is paused, nothing is lost"
    replaced_consequence = SENT_AGAIN

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.policy = CheckpointPolicy(settings.checkpoint.interval_seconds)

    def window(self, start: Position) -> Window:
        """Return the window of a session that starts at ``start``."""
        delivery = self._settings.delivery
        return Window(start, delivery.window_messages, delivery.window_bytes)

    def in_flight(self, window: Window) -> Window:
        """Return the window that holds the messages without an acknowledgement."""
        return window

    def wrap_client(self, sink: Sink, progress: Progress, context: ModeContext) -> Sink:
        """Return the sink whose acknowledgements are counted; ``sink`` is the driver's."""
        return sink

    def wrap_sink(self, sink: Sink, context: ModeContext) -> AbstractContextManager[Sink]:
        """Return the sink of a session, to be entered."""
        return nullcontext(sink)

    def wrap_stream(self, stream: Stream, context: ModeContext) -> Stream:
        """Return the stream of a session."""
        return stream


class ExactlyOnceMode(Mode):
    """Messages and position are stored in one transaction; a failure aborts it as a whole."""

    rereads_position = True
    replaced_consequence = (
        "Nothing is lost or repeated: the messages of the open transaction are sent again"
    )

    def __init__(self, settings: Settings, transactions: Transactions) -> None:
        super().__init__(settings)
        interval = settings.checkpoint.interval_seconds
        self.policy = CheckpointPolicy(interval, transactional=True)
        self._transactions = transactions

    def window(self, start: Position) -> Window:
        delivery = self._settings.delivery
        # A larger window makes larger transactions, which cost less for a message.
        is_default = "window_messages" not in delivery.model_fields_set
        messages = TRANSACTION_MESSAGES if is_default else delivery.window_messages
        return Window(start, messages, delivery.window_bytes)

    def wrap_client(self, sink: Sink, progress: Progress, context: ModeContext) -> Sink:
        pipeline = context.pipeline
        return ExactlyOnceSink(
            sink,
            self._transactions,
            progress,
            clock=pipeline.clock,
            counters=pipeline.counters,
        )


class FireAndForgetMode(Mode):
    """The loop's window settles at once; a window of its own bounds the messages in flight."""

    stall_consequence = "Messages beyond the window are lost, as fire-and-forget allows"
    replaced_consequence = "The messages in flight are lost, as fire-and-forget allows"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._losses = Losses()

    def in_flight(self, window: Window) -> Window:
        return self.window(window.position)

    @contextmanager
    def wrap_sink(self, sink: Sink, context: ModeContext) -> Iterator[Sink]:
        wrapped = FireAndForgetSink(sink, context.in_flight, context.pipeline, losses=self._losses)
        try:
            yield wrapped
        finally:
            wrapped.drain(self._settings.delivery.drain_seconds)


class SynchronousMode(Mode):
    """A single message in flight; each position is stored before the next message is sent."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.policy = CheckpointPolicy(0)

    def window(self, start: Position) -> Window:
        return Window(start, 1, self._settings.delivery.window_bytes)

    def wrap_sink(self, sink: Sink, context: ModeContext) -> AbstractContextManager[Sink]:
        delivery = self._settings.delivery
        wrapped = SynchronousSink(
            sink,
            context.pipeline.pulse,
            timeout_seconds=delivery.send_timeout_seconds,
            drain_seconds=delivery.drain_seconds,
        )
        return nullcontext(wrapped)


class BackgroundMode(Mode):
    """Tags in the jobs mark unsent transitions; the position is kept where the bridge sets them."""

    def __init__(self, settings: Settings, source: TagSource) -> None:
        super().__init__(settings)
        self._source = source
        self._tags = source.tags()
        self._in_flight = InFlight()
        self._still_tagged = StillTagged()

    @contextmanager
    def wrap_sink(self, sink: Sink, context: ModeContext) -> Iterator[Sink]:
        self._in_flight.clear()
        wrapped = UntaggingSink(sink, self._tags, self._in_flight, still_tagged=self._still_tagged)
        try:
            yield wrapped
        finally:
            wrapped.leave(context.pipeline.pulse, self._settings.delivery.drain_seconds)

    def wrap_stream(self, stream: Stream, context: ModeContext) -> Stream:
        # Without the right, each session would send the same transitions again.
        self._source.check_tag_rights()
        if missing := self._source.missing_sweep_indexes():
            logger.warning(
                "the sweep lacks an index, so it scans every job; '%s' creates %s",
                Hint.CREATE_SWEEP_INDEX,
                " and ".join(missing),
            )
        if (tagger := self._source.tagger()) is not None:
            stream = TaggingStream(stream, tagger)
        return SweepingStream(
            stream, self._tags, self._in_flight, pace=self._settings.sweep, context=context
        )


def mode_of(settings: Settings, source: TagSource, store: CheckpointStore) -> Mode:
    """Return the mode that ``delivery.mode`` names.

    Args:
        settings: The settings; exactly-once has a store with :class:`Transactions`.
        source: The tags, for the background modes.
        store: The checkpoint store.
    """
    match settings.delivery.mode:
        case "at-least-once":
            return Mode(settings)
        case "exactly-once":
            return ExactlyOnceMode(settings, cast(Transactions, store))
        case "fire-and-forget":
            return FireAndForgetMode(settings)
        case "synchronous":
            return SynchronousMode(settings)
        case "background-jobs" | "background-transitions":
            return BackgroundMode(settings, source)
