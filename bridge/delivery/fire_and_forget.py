"""Fire and forget: a message is settled as soon as the Kafka client has it, or there is no room."""

import logging
from collections.abc import Sequence
from contextlib import suppress

from bridge.errors import BridgeError
from bridge.logs import Repeated
from bridge.model.window import Delivery, Sending, Window
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.ports import Sink

logger = logging.getLogger("bridge")


class Losses:
    """The messages that a bridge has lost, over all its sessions.

    Attributes:
        total: Their number.
    """

    def __init__(self) -> None:
        self.total = 0
        self._warning = Repeated(logger)

    def add(self, count: int, reason: str, now: float) -> None:
        """Count lost messages and log the total; ``now`` is monotonic seconds."""
        self.total += count
        self._warning.failed(
            now,
            f"messages are lost, as fire-and-forget allows: {reason}; {self.total} so far",
        )

    def over(self, now: float) -> None:
        """Log that messages are not lost any more, if some were."""
        self._warning.over(now, "the window has room for messages again")


class FireAndForgetSink:
    """A sink that never lets the loop wait for Kafka; see :class:`bridge.pipeline.ports.Sink`.

    Messages without an acknowledgement are held up to the bounds of ``in_flight``. A message beyond
    them is dropped, counted and logged, and so is everything in flight when the producer fails. The
    order of the messages that are sent is kept.
    """

    def __init__(
        self, sink: Sink, in_flight: Window, context: PipelineContext, *, losses: Losses
    ) -> None:
        self._sink = sink
        self._in_flight = in_flight
        self._pulse = context.pulse
        self._clock = context.clock
        self._counters = context.counters
        self._accepted: list[Delivery] = []
        self._losses = losses
        self.max_message_bytes = sink.max_message_bytes

    @property
    def broken(self) -> bool:
        return self._sink.broken

    def send(self, sendings: Sequence[Sending]) -> None:
        """Hand over the messages for which there is room; the others are lost."""
        self.collect()
        fitting: list[Sending] = []
        for message, delivery in sendings:
            self._accepted.append(delivery)
            if self._in_flight.full:
                self._lose(1, "the window is full")
                continue
            own = Delivery(None, delivery.size, delivery.sent, committed=delivery.committed)
            own.item, own.letter = delivery.item, delivery.letter
            self._in_flight.admit(own)
            fitting.append((message, own))
        try:
            self._sink.send(fitting)
        except BridgeError as error:
            self.give_up(error.what)
            raise

    def settled(self) -> Sequence[Delivery]:
        """Return everything that was given to ``send`` since the last call.

        Raises the meaning of a failure, once its messages are counted as lost.
        """
        self.collect()
        accepted, self._accepted = self._accepted, []
        return accepted

    def collect(self) -> None:
        """Note Kafka's acknowledgements."""
        try:
            self._in_flight.settle(self._sink.settled())
        except BridgeError as error:
            self.give_up(error.what)
            raise
        self._in_flight.advance()
        if not self._in_flight.full:
            self._losses.over(self._clock.monotonic())

    def drain(self, seconds: float) -> None:
        """Wait for acknowledgements, at most ``seconds``; the other messages are lost."""
        deadline = self._clock.monotonic() + seconds
        with suppress(BridgeError):
            while (
                self._in_flight
                and not self.broken
                and (left := deadline - self._clock.monotonic()) > 0
            ):
                self._pulse.wake.clear()
                self.collect()
                if self._in_flight:
                    self._pulse.wait_for_answers(left)
                self._pulse.keep_alive()
        self.give_up("the bridge stopped before Kafka acknowledged them")

    def give_up(self, reason: str) -> None:
        """Count the messages in flight as lost."""
        self._lose(self._in_flight.count, reason)
        self._in_flight.settle([*self._in_flight])
        self._in_flight.advance()

    def _lose(self, count: int, reason: str) -> None:
        if count:
            self._counters.lost += count
            self._losses.add(count, reason, self._clock.monotonic())
