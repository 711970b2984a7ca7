"""Publishes given events once and waits for their acknowledgement: replays, repairs, retries."""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from bridge.model.transition import Event, Transition
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.publisher import Publisher
from bridge.pipeline.stall_warning import Complainer, StallWarning

_EVENTS_AT_ONCE = 500


def _ignore(_count: int) -> None:
    """Do nothing with a number of settled messages."""


class Republisher:
    """Moves messages only: no checkpoint is touched.

    ``window.position`` is that of the last event that is settled together with all before it, so a
    caller that gives its events positions knows where to continue.

    Attributes:
        sent: Messages that Kafka has acknowledged, without dead letters.
        dead_lettered: Dead letters that Kafka has acknowledged.
    """

    def __init__(
        self,
        publisher: Publisher,
        client: Complainer,
        context: PipelineContext,
        *,
        drain_seconds: float,
        rate: float = 0.0,
    ) -> None:
        """Create a republisher for a command.

        Args:
            publisher: Makes the messages and hands them to its sink.
            client: The Kafka client, for the reason of a stall.
            context: Its pulse ends the work when a stop is requested.
            drain_seconds: How long to wait for messages in flight after a stop.
            rate: Maximum number of events per second; 0 for no limit.
        """
        self.window = publisher.window
        self.sent = 0
        self.dead_lettered = 0
        self._publisher = publisher
        self._sink = publisher.sink
        self._client = client
        self._pulse = context.pulse
        self._drain_seconds = drain_seconds
        self._stall = StallWarning(context.clock, "The command waits")
        self._pace = 1 / rate if rate else 0.0
        self._advance: Callable[[int], None] = _ignore

    def refusal_of(self, item: Transition, origin: bytes) -> str:
        """Return why the topic does not accept the message of ``item``; empty if it does."""
        return self._publisher.refusal_of(item, origin)

    def run(self, events: Iterable[Event], advance: Callable[[int], None] = _ignore) -> bool:
        """Publish ``events`` in their order.

        Args:
            events: Read as they are needed.
            advance: Called with the number of messages and dead letters that were acknowledged
                since the last call.

        Returns:
            True when all are settled, False when it was stopped before that.

        Raises:
            BridgeError: The sink failed; Kafka may have the messages in flight or not.
        """
        self._advance = advance
        source = iter(events)
        clock = self._pulse.clock
        due = clock.monotonic()
        while not self._pulse.stop.is_set():
            waiting = deque(islice(source, 1 if self._pace else _EVENTS_AT_ONCE))
            if not waiting:
                return self._finish()
            self._publish(waiting)
            now = clock.monotonic()
            due = max(due + self._pace, now)  # a delay is not caught up with a burst
            self._pulse.stop.wait(due - now)
        self._finish()
        return False

    def _publish(self, waiting: deque[Event]) -> None:
        while waiting and not self._pulse.stop.is_set():
            self._pulse.wake.clear()
            if not self.window.full:
                self._publisher.publish(waiting)
            if not self._settle() and waiting:
                self._pulse.wait_for_answers()

    def _finish(self) -> bool:
        """Wait for the messages in flight; False when a stop left some of them."""
        clock = self._pulse.clock
        stopped = None
        while self.window:
            self._pulse.wake.clear()
            settled = self._settle()
            if self._pulse.stop.is_set():
                stopped = stopped or clock.monotonic()
                if clock.monotonic() - stopped > self._drain_seconds:
                    return False
            if self.window and not settled:
                self._pulse.wait_for_answers()
        return True

    def _settle(self) -> bool:
        deliveries = self._sink.settled()
        self.window.settle(deliveries)
        self.window.advance()
        if deliveries:
            letters = sum(delivery.letter is not None for delivery in deliveries)
            self.dead_lettered += letters
            self.sent += len(deliveries) - letters
            self._advance(len(deliveries))
        self._stall.look(self.window, self._client)
        return bool(deliveries)
