"""A session of a bridge: an open stream, an open producer, and the loop between them."""

import logging
import threading
from contextlib import ExitStack, suppress
from dataclasses import replace

from bridge.app.background import Stopped
from bridge.app.lifecycle import State
from bridge.app.ownership import OwnedCheckpoint
from bridge.app.sides import kafka_side, mongodb_side
from bridge.app.wiring import SessionParts, make_message_format, make_publisher
from bridge.delivery.context import ModeContext
from bridge.delivery.sweeping_stream import NoStream
from bridge.errors import BridgeError, Fenced, Stalled
from bridge.model.gap import Gap
from bridge.model.position import Position, position_past
from bridge.model.window import Window
from bridge.mongo.cluster import Deployment
from bridge.mongo.source import MongoSource
from bridge.observability.snapshot import SWEEP_ONLY
from bridge.pipeline.loop import Loop, LoopContext
from bridge.pipeline.metered_sink import MeteredSink
from bridge.pipeline.metered_stream import MeteredStream
from bridge.pipeline.omitting_sink import OmittingSink
from bridge.pipeline.ports import AcknowledgedOffsets, Sink, Stream
from bridge.pipeline.recovery_progress import RecoveryProgress
from bridge.pipeline.recovery_stream import RecoveryStream
from bridge.pipeline.stall_warning import Complainer

logger = logging.getLogger("bridge")


class _FollowingStream:
    """The change stream after a gap, not yet open; ``stack`` closes it with the session.

    Attributes:
        newest: The position after all writes that the recovery can have read.
    """

    def __init__(
        self, source: MongoSource, start: Position, wake: threading.Event, *, stack: ExitStack
    ) -> None:
        self._source = source
        self._start = start
        self._wake = wake
        self._stack = stack
        self.newest = start

    def open(self) -> Stream:
        """Open it; may take minutes."""
        self.newest = position_past(self._source.deployment().cluster_time)
        change_stream = self._source.open(self._start, self._wake, by_time=False)
        return self._stack.enter_context(change_stream)


class Session:
    """Opens both ends, works, drains and closes; a bridge makes a new session after each failure.

    Attributes:
        streams: Whether MongoDB has a change stream to read.
        in_flight: The messages without an acknowledgement; None while no producer is open.
        recovery: The running recovery; None when there is no recovery.
    """

    def __init__(self, parts: SessionParts, owned: OwnedCheckpoint) -> None:
        progress = owned.progress
        self.streams = True
        self.in_flight: Window | None = None
        self.recovery: RecoveryProgress | None = None
        self._parts = parts
        self._progress = progress
        self._start = owned.start
        self._lifecycle = parts.lifecycle
        self._pulse = parts.context.pulse
        self._background = parts.background
        self._window = parts.mode.window(progress.position)
        self._mode_context = ModeContext(
            position=progress.position,
            in_flight=parts.mode.in_flight(self._window),
            pipeline=parts.context,
            readers=parts.background,
        )
        self._client: Complainer | None = None
        self._omitting: OmittingSink | None = None
        self._following: _FollowingStream | None = None
        self._stream: MeteredStream | None = None

    def run(self) -> None:
        """Work until a stop or a pause is requested.

        Raises:
            BridgeError: It ended the session; messages in flight were settled where possible.
            Stopped: A stop was requested while the session was being opened.
        """
        with ExitStack() as stack:
            stack.callback(self._closed)
            settings, pulse = self._parts.settings, self._pulse
            with pulse.waits_for(mongodb_side(settings)):
                newest = position_past(self._deployment().cluster_time)
            if self._parts.until:
                self._parts.until.session_started(newest)
            with pulse.waits_for(kafka_side(settings)):
                sink = self._open_sink(stack, newest)
            with pulse.waits_for(mongodb_side(settings)):
                stream = MeteredStream(self._open_stream(stack), self._progress.position)
            self._stream = stream
            self._progress.start_sending(newest)
            loop = Loop(stream, sink, self._loop_context(sink))
            try:
                self._work(loop)
            finally:
                self._background.finish()

    @property
    def reached(self) -> Position | None:
        """The position up to which events were read; None while no stream is open."""
        stream = self._stream
        return stream.reached if stream else None

    def complaint(self) -> str:
        """Return the Kafka client's latest warning; empty when there was no recent warning."""
        return self._client.complaint() if self._client else ""

    def refused(self) -> bool:
        """Return whether the latest warning is about credentials or certificates."""
        return self._client.refused() if self._client else False

    def turned(self) -> None:
        """Check after each turn whether recovery or bridge have finished, or Kafka has stalled."""
        if self.recovery and self._progress.gap is None:
            self._recovered(self.recovery)
        if self.in_flight is not None:
            self._parts.stall.look(self.in_flight, self)
        if self._parts.until:
            self._parts.until.look(self._progress.position)

    def _deployment(self) -> Deployment:
        needed = not self._parts.settings.keeps_no_position
        deployment = self._parts.source.deployment(streams=needed)
        self.streams = deployment.streams
        return deployment

    def _open_sink(self, stack: ExitStack, newest: Position) -> Sink:
        parts = self._parts
        dead_letters = make_message_format(parts.settings).dead_letter_topic
        producer = parts.driver.sink(parts.settings, dead_letters, self._pulse.wake)
        driver = self._background.enter(stack, producer)
        self._client = driver
        self.in_flight = self._mode_context.in_flight
        client = parts.mode.wrap_client(driver, self._progress, self._mode_context)
        context = parts.context
        metered = MeteredSink(client, context.clock, context.counters, recent=context.recent)
        sink = self._omit_present(metered, driver, stack, newest=newest)
        return stack.enter_context(parts.mode.wrap_sink(sink, self._mode_context))

    def _omit_present(
        self, sink: Sink, driver: AcknowledgedOffsets, stack: ExitStack, *, newest: Position
    ) -> Sink:
        """Return a sink that omits the topic's messages of positions up to ``newest``."""
        progress, context = self._progress, self._parts.context
        tail = self._parts.read_back.tail(progress, driver)
        progress.offsets.open_session(driver, tail.ends if tail else None, newest)
        if tail is None:
            return sink
        context.sent.read_back = newest
        if tail.ledger.is_empty and progress.gap is None:
            # There is nothing to leave out: a whole backlog would be compared with nothing.
            tail.ledger.close()
            return sink
        self._omitting = OmittingSink(
            sink,
            tail.ledger,
            context,
            topic=self._parts.settings.kafka.topic,
            until=newest if progress.gap is None else None,
        )
        stack.callback(self._omitting.close)
        return self._omitting

    def _open_stream(self, stack: ExitStack) -> Stream:
        stream = self._base_stream(stack)
        context = replace(self._mode_context, streams=self.streams)
        return self._parts.mode.wrap_stream(stream, context)

    def _base_stream(self, stack: ExitStack) -> Stream:
        """Return the change stream, preceded by the gap's recovery if there is a gap."""
        if not self.streams:
            logger.warning("%s", SWEEP_ONLY)
            return NoStream()
        if (gap := self._progress.gap) is not None:
            return self._recovery_stream(gap, stack)
        position = self._progress.position
        by_time = self._start.opens_by_time(position)
        change_stream = self._parts.source.open(position, self._pulse.wake, by_time=by_time)
        return self._background.enter(stack, change_stream)

    def _recovery_stream(self, gap: Gap, stack: ExitStack) -> RecoveryStream:
        source, background = self._parts.source, self._background
        start = self._progress.position
        cursor = start.recovery_cursor
        total = background.call(lambda: source.history.count_in_gap(gap, cursor))
        self.recovery = RecoveryProgress(gap, total, self._parts.context)
        latest_only = source.profile.transitions_field is None
        if latest_only:
            logger.warning(
                "this collection stores no transition history: "
                "only each job's latest state can be recovered"
            )
        following = self._following = _FollowingStream(
            source, gap.until, self._pulse.wake, stack=stack
        )
        return RecoveryStream(
            background.reader(source.history.transitions_in_gap(gap, cursor)),
            background.deferred(following.open),
            gap,
            start=start,
            progress=self.recovery,
            latest_only=latest_only,
        )

    def _loop_context(self, sink: Sink) -> LoopContext:
        parts = self._parts
        publisher = make_publisher(
            parts.settings, sink, self._window, brake=parts.brake, context=parts.context
        )
        return LoopContext(self._window, publisher, self._progress, self._pulse, watch=self)

    def _work(self, loop: Loop) -> None:
        self._ready()
        try:
            with suppress(Stopped):
                loop.run()
        except Fenced:
            raise
        except BridgeError as error:
            self._lifecycle.enter(State.WAITING, str(error))
            # A client that has acknowledged nothing for a minute is not waited for any longer.
            self._drain(loop, 0 if isinstance(error, Stalled) else None)
            raise
        stops = self._pulse.stop.is_set()
        self._lifecycle.enter(State.DRAINING, "stopping" if stops else "pausing")
        self._drain(loop)

    def _drain(self, loop: Loop, seconds: float | None = None) -> None:
        patience = self._parts.settings.delivery.drain_seconds
        loop.drain(patience if seconds is None else seconds)

    def _ready(self) -> None:
        self._pulse.beat()
        self._parts.retry.session_ready()
        self._lifecycle.enter(State.RECOVERING if self.recovery else State.RUNNING)
        logger.info("%s", self.recovery or "ready")

    def _recovered(self, recovery: RecoveryProgress) -> None:
        self.recovery = None
        if self._following:
            # The recovery has sent transitions of later positions, which the stream delivers again.
            self._parts.context.sent.others = self._following.newest
            if self._omitting:
                self._omitting.until = self._following.newest
        self._lifecycle.enter(State.RUNNING)
        logger.info(
            "published the history of %d jobs in %.1f s: ready, the change stream resumes after it",
            recovery.done,
            recovery.seconds,
        )

    def _closed(self) -> None:
        self._stream = None
        self.in_flight = None
        self.recovery = None
