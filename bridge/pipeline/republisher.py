"""Publishes given events once and waits until all of them are settled: for replays, repairs and retries."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from bridge.clock import Clock
from bridge.logs import Repeated
from bridge.model.policy import stalled
from bridge.model.transition import Event
from bridge.model.window import Window
from bridge.observability.metrics import Counters
from bridge.pipeline.ports import Sink
from bridge.pipeline.publisher import Publisher

logger = logging.getLogger("bridge")

_AT_ONCE = 500
_PULSE_SECONDS = 0.25


class Republisher:
    """Moves nothing but messages: no checkpoint is touched.

    ``window.position`` is that of the last event that is settled with all before it, so whoever gives
    the events positions knows where to go on. ``rate`` bounds events a second; 0 does not. After
    ``stop`` what is in flight is waited for ``drain_seconds`` at most.
    """

    def __init__(
        self,
        sink: Sink,
        publisher: Publisher,
        window: Window,
        wake: threading.Event,
        stop: threading.Event,
        clock: Clock,
        counters: Counters,
        *,
        drain_seconds: float,
        rate: float = 0.0,
        complaint: Callable[[], str] = lambda: "",
    ) -> None:
        self._sink, self._publisher, self.window = sink, publisher, window
        self._wake, self._stop, self._clock, self.counters = wake, stop, clock, counters
        self._drain_seconds, self._complaint = drain_seconds, complaint
        self._stall = Repeated(logger)
        self._pace = 1 / rate if rate else 0.0
        self._settled: Callable[[int], None] = lambda _: None

    def run(self, events: Iterable[Event], settled: Callable[[int], None] = lambda _: None) -> bool:
        """Publish ``events`` in their order; True when all are settled, False when it was stopped before that.

        ``settled`` hears how many messages more Kafka has. Raises the sink's errors; what was in flight then may be there or not.
        """
        self._settled = settled
        source, due = iter(events), self._clock.monotonic()
        while not self._stop.is_set():
            waiting = deque(islice(source, 1 if self._pace else _AT_ONCE))
            if not waiting:
                return self._finish()
            self._publish(waiting)
            now = self._clock.monotonic()
            due = max(due + self._pace, now)  # what could not be sent in time is not caught up with
            self._stop.wait(due - now)
        self._finish()
        return False

    def _publish(self, waiting: deque[Event]) -> None:
        while waiting and not self._stop.is_set():
            self._wake.clear()
            if not self.window.full:
                self._publisher.publish(waiting)
            if not self._settle() and waiting:
                self._wake.wait(_PULSE_SECONDS)

    def _finish(self) -> bool:
        """Wait for what is in flight; False when it was stopped and not all came in time."""
        stopped = None
        while self.window:
            self._wake.clear()
            settled = self._settle()
            if self._stop.is_set():
                stopped = stopped or self._clock.monotonic()
                if self._clock.monotonic() - stopped > self._drain_seconds:
                    return False
            if self.window and not settled:
                self._wake.wait(_PULSE_SECONDS)
        return True

    def _settle(self) -> bool:
        found = self._sink.settled()
        self.window.settle(found)
        self.window.advance()
        self.counters.settled += len(found)
        if found:
            self._settled(len(found))
        self._watch()
        return bool(found)

    def _watch(self) -> None:
        """Say so when Kafka takes nothing, and when it does again."""
        now, oldest = self._clock.monotonic(), self.window.oldest
        age = None if oldest is None else now - oldest
        if trouble := stalled(age, self._complaint):
            self._stall.failed(now, f"{trouble}: waiting", age)
        else:
            self._stall.over(now, "Kafka acknowledges again")
