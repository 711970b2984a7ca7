"""Fire and forget: a message is settled as soon as the client has it, or there was no room for it."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.logs import Repeated
from bridge.model.window import Delivery, Sending, Window
from bridge.observability.metrics import Counters
from bridge.pipeline.ports import Sink

logger = logging.getLogger("bridge")

_PULSE_SECONDS = 0.25


class FireAndForgetSink:
    """A sink that never lets the loop wait for Kafka; see :class:`bridge.pipeline.ports.Sink`.

    What Kafka has not acknowledged is held up to the bounds of ``flight``; a message beyond them is
    dropped, counted and logged, and so is everything in flight when the producer fails. Order is kept
    among what is sent.
    """

    def __init__(self, sink: Sink, flight: Window, clock: Clock, counters: Counters) -> None:
        self._sink, self._flight, self._clock, self._counters = sink, flight, clock, counters
        self._forgotten: list[Delivery] = []
        self._drops = Repeated(logger)
        self.max_message_bytes = sink.max_message_bytes

    @property
    def broken(self) -> bool:
        return self._sink.broken

    def send(self, sendings: Sequence[Sending]) -> None:
        """Hand over what there is room for; the rest is lost."""
        self.collect()
        fitting: list[Sending] = []
        for message, delivery in sendings:
            self._forgotten.append(delivery)
            if self._flight.full:
                self._lost(1, "there is no room for more in flight")
                continue
            own = Delivery(None, delivery.size, delivery.sent, committed=delivery.committed)
            self._flight.admit(own)
            fitting.append((message, own))
        try:
            self._sink.send(fitting)
        except BridgeError as error:
            self.give_up(error.what)
            raise

    def settled(self) -> Sequence[Delivery]:
        """All that was given to ``send`` since; raises what a failure means, once its messages are counted as lost."""
        self.collect()
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def collect(self) -> None:
        """Take note of Kafka's answers."""
        try:
            self._flight.settle(self._sink.settled())
        except BridgeError as error:
            self.give_up(error.what)
            raise
        self._flight.advance()
        if not self._flight.full:
            self._drops.over(self._clock.monotonic(), "there is room for messages again")

    def drain(
        self, seconds: float, wake: threading.Event, keep: Callable[[], None] = lambda: None
    ) -> None:
        """Wait so long for answers at most; what has none by then is lost. ``keep`` is called meanwhile; what it raises ends the wait."""
        deadline = self._clock.monotonic() + seconds
        with suppress(BridgeError):
            while (
                self._flight
                and not self.broken
                and (left := deadline - self._clock.monotonic()) > 0
            ):
                wake.clear()
                self.collect()
                if self._flight:
                    wake.wait(min(left, _PULSE_SECONDS))
                keep()
        self.give_up("the bridge stopped before Kafka acknowledged them")

    def give_up(self, reason: str) -> None:
        """Count what is in flight as lost."""
        self._lost(self._flight.count, reason)
        self._flight.settle([*self._flight])
        self._flight.advance()

    def _lost(self, count: int, reason: str) -> None:
        if count:
            self._counters.lost += count
            self._drops.failed(
                self._clock.monotonic(),
                f"messages are lost, as fire-and-forget allows: {reason}; {self._counters.lost} so far",
            )
