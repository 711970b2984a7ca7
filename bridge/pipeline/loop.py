"""The loop: read, publish, settle, remember."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from bridge.clock import Clock
from bridge.errors import NotPermitted, Retryable
from bridge.model.position import Position
from bridge.model.transition import Event
from bridge.model.window import Window
from bridge.observability.metrics import Counters
from bridge.pipeline.ports import Sink, Stream
from bridge.pipeline.progress import Progress
from bridge.pipeline.publisher import Publisher

#: The longest the loop sleeps when nothing wakes it: due checkpoints are looked at so often.
PULSE_SECONDS = 0.25


class Loop:
    """One run from an open stream to an open sink, on the thread that calls it.

    Everything that moves the checkpoint goes through the window: its settled prefix is the only
    position ever remembered. Nothing is read while the window is full.
    """

    def __init__(
        self,
        stream: Stream,
        sink: Sink,
        window: Window,
        publisher: Publisher,
        progress: Progress,
        wake: threading.Event,
        stop: threading.Event,
        clock: Clock,
        counters: Counters,
        on_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._stream, self._sink, self._window = stream, sink, window
        self._publisher, self._progress = publisher, progress
        self._wake, self._stop = wake, stop
        self._clock, self._counters, self._on_turn = clock, counters, on_turn
        self._events: deque[Event] = deque()
        self._after: Position | None = None

    def run(self) -> None:
        """Work until asked to stop. Raises what ends the run; the window then still holds what is in flight."""
        while not self._stop.is_set():
            self._wake.clear()
            busy = self._read() | self._publish() | self._settle()
            self._remember()
            self._on_turn()
            if not busy:
                self._wake.wait(PULSE_SECONDS)
                # Frozen meanwhile, and replaced? Then nothing more is sent.
                self._progress.keep()

    def drain(self, seconds: float) -> bool:
        """Settle what is in flight, read nothing new; False when that took too long or the sink broke.

        Raises ``Fenced``; a store that is out of reach, or refuses us, only keeps the position in memory.
        """
        deadline = self._clock.monotonic() + seconds
        while self._window and not self._sink.broken and self._clock.monotonic() < deadline:
            self._wake.clear()
            with suppress(Retryable, NotPermitted):
                if not self._settle():
                    self._wake.wait(min(PULSE_SECONDS, seconds))
                self._remember()
        self._progress.reached(self._window.advance(), self._window.delivered)
        return not self._window

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
            self._counters.settled += len(settled)
        return bool(settled)

    def _remember(self) -> None:
        self._counters.turned = self._clock.monotonic()
        self._progress.remember(self._window.advance(), self._window.delivered)
