"""The loop: read, publish, settle, remember."""

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from bridge.errors import Misconfigured, NotPermitted, Retryable
from bridge.model.position import Position
from bridge.model.transition import Event
from bridge.model.window import Window
from bridge.pipeline.ports import Sink, Stream
from bridge.pipeline.progress import Progress
from bridge.pipeline.publisher import Publisher
from bridge.pipeline.pulse import Pulse


class Watch(Protocol):
    """Looks at a running loop; decides nothing in it."""

    def turned(self) -> None:
        """Called at the end of each turn, on the loop's thread."""


@dataclass(frozen=True, slots=True)
class LoopContext:
    """The objects around a loop, apart from its stream and its sink."""

    window: Window
    publisher: Publisher
    progress: Progress
    pulse: Pulse
    watch: Watch


class Loop:
    """Moves events from an open stream to an open sink, on the thread that calls it.

    Everything that moves the checkpoint goes through the window: only the position of its settled
    prefix is remembered. Nothing is read while the window is full.
    """

    def __init__(self, stream: Stream, sink: Sink, context: LoopContext) -> None:
        self._stream = stream
        self._sink = sink
        self._window = context.window
        self._publisher = context.publisher
        self._progress = context.progress
        self._pulse = context.pulse
        self._watch = context.watch
        #: Events that were read and are not published yet, and the position after them.
        self._events: deque[Event] = deque()
        self._after: Position | None = None

    def run(self) -> None:
        """Work until a stop or a pause is requested.

        Raises the error that ends the session; messages in flight are still in the window then.
        """
        pulse = self._pulse
        while not pulse.halts:
            pulse.wake.clear()
            busy = self._read() | self._publish() | self._settle()
            self._remember()
            self._watch.turned()
            if not busy:
                pulse.wait_for_answers()
                # A process that was frozen may have lost the checkpoint: look before sending.
                self._progress.keep()

    def drain(self, seconds: float) -> None:
        """Settle the messages in flight, for at most ``seconds``; read nothing.

        Ends early when the sink breaks. A store that is unreachable or refuses us only keeps the
        position in memory. Raises ``Fenced``.
        """
        clock = self._pulse.clock
        deadline = clock.monotonic() + seconds
        while self._needs_sink() and not self._sink.broken and clock.monotonic() < deadline:
            self._pulse.wake.clear()
            with suppress(Retryable, NotPermitted, Misconfigured):
                if not self._settle():
                    self._pulse.wait_for_answers(seconds)
                self._remember()
        self._progress.drained(self._window)

    def _needs_sink(self) -> bool:
        """Return whether leaving the sink would give up messages, or a save."""
        return bool(self._window) or self._progress.saves_through_sink

    def _read(self) -> bool:
        if self._events or self._window.full:
            return False
        if self._after is not None:
            self._window.admit_position(self._after)
            self._after = None
        batch = self._stream.read()
        if batch is None:
            return False
        self._events.extend(batch.events)
        self._after = batch.position
        return True

    def _publish(self) -> bool:
        if not self._events or self._window.full:
            return False
        self._publisher.publish(self._events)
        return True

    def _settle(self) -> bool:
        settled = self._sink.settled()
        if settled:
            self._window.settle(settled)
            self._progress.note_settled()
        return bool(settled)

    def _remember(self) -> None:
        self._pulse.beat()
        self._progress.remember(self._window.advance(), self._window.delivered)
