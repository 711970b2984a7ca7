"""Hands an event's messages to the sink; sets aside what cannot be sent, within a limit."""

import logging

from bridge.clock import Clock
from bridge.errors import PoisonEvent
from bridge.metrics import Counters
from bridge.model.message import Message, MessageFormat
from bridge.model.policy import DeadLetterBrake
from bridge.model.transition import Event, Poison, Transition
from bridge.model.window import Delivery, Window
from bridge.pipeline.ports import Sink

logger = logging.getLogger(__name__)

_STOPPED = "Nothing is lost: the event is read again at the next start, and all before it is delivered"


class Publisher:
    """Publishes events in their order; a dead letter takes its message's place in that order."""

    def __init__(
        self, sink: Sink, window: Window, form: MessageFormat, brake: DeadLetterBrake, clock: Clock,
        counters: Counters, *, set_aside_oversize: bool, origin: bytes = b"stream",
    ) -> None:
        self._sink = sink
        self._window = window
        self._format = form
        self._brake = brake
        self._clock = clock
        self._counters = counters
        self._set_aside_oversize = set_aside_oversize
        self._origin = origin

    def publish(self, event: Event) -> None:
        """Send all messages of ``event``; its position is reached when the last of them is settled."""
        self._counters.read += 1
        if event.skipped:
            self._counters.skip(event.skipped)
        if not event.items:
            self._window.pass_by(event.position)
            return
        last = len(event.items) - 1
        for n, item in enumerate(event.items):
            message = self._message(item)
            delivery = Delivery(
                event.position if n == last else None, message.size(), self._clock.monotonic(), event.committed
            )
            self._window.admit(delivery)
            self._sink.send(message, delivery)
            self._counters.sent += 1
        if event.position <= self._counters.sent_up_to:
            self._counters.possible_duplicates += len(event.items)
        else:
            self._counters.sent_up_to = event.position

    def _message(self, item: Transition | Poison) -> Message:
        if isinstance(item, Poison):
            return self._dead_letter(item)
        message = self._format.message(item, self._origin)
        if self._sink.takes(message):
            return message
        return self._oversize(item, message.size())

    def _oversize(self, item: Transition, size: int) -> Message:
        reason = f"the message has {size} bytes, more than topic {self._format.topic} takes"
        if not self._set_aside_oversize:
            raise PoisonEvent(
                f"Job {item.job_id:.100}: {reason}", _STOPPED,
                "Raise the topic's max.message.bytes, or set kafka.on_oversize = dead-letter",
            )
        time = item.time.isoformat()
        return self._dead_letter(Poison(reason, item.job_id, item.state, time, item.trans_id, item.sequence))

    def _dead_letter(self, poison: Poison) -> Message:
        extra = {"job_id": poison.job_id[:100], "trans_id": poison.trans_id[:100], "reason": poison.reason}
        topic = self._format.dead_letter_topic
        if not self._sink.has(topic):
            raise PoisonEvent(
                f"A transition cannot be sent ({poison.reason}), and there is no topic {topic} to set it aside",
                _STOPPED, "'job-bridge topics create' makes it",
            )
        if self._brake.exceeded(self._clock.monotonic()):
            raise PoisonEvent(
                f"Too many dead letters within an hour; the next: {poison.reason}", _STOPPED,
                f"Look at {topic}: when they are as expected, raise delivery.dead_letters_per_hour",
            )
        logger.warning("set aside to %s, not sent", topic, extra=extra)
        self._counters.dead_lettered += 1
        return self._format.dead_letter(poison, self._origin, self._clock.now())
