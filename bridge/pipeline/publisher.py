"""Hands an event's messages to the sink; sets aside what cannot be sent, within a limit."""

import logging
from collections import deque

from bridge.clock import Clock
from bridge.errors import PoisonEvent
from bridge.model.message import TOO_LARGE, Message, MessageFormat
from bridge.model.policy import DeadLetterBrake
from bridge.model.position import Position
from bridge.model.transition import RECOVERY, STREAM, Event, Poison, Transition
from bridge.model.window import Delivery, Sending, Window
from bridge.observability.metrics import Counters
from bridge.pipeline.ports import Sink

logger = logging.getLogger(__name__)

_STOPPED = (
    "Nothing is lost: the event is read again at the next start, and all before it is delivered"
)


class Publisher:
    """Publishes events in their order; a dead letter takes its message's place in that order."""

    def __init__(
        self,
        sink: Sink,
        window: Window,
        form: MessageFormat,
        brake: DeadLetterBrake,
        clock: Clock,
        counters: Counters,
        *,
        set_aside_oversize: bool,
    ) -> None:
        self._sink = sink
        self._window = window
        self._format = form
        self._brake = brake
        self._clock = clock
        self._counters = counters
        self._set_aside_oversize = set_aside_oversize
        self._most = sink.max_message_bytes(form.topic)

    def publish(self, events: deque[Event]) -> None:
        """Take events from the left until the window is full, and send their messages.

        They are handed over together: Kafka's clients make larger batches of what comes at once.
        """
        sendings: list[Sending] = []
        now, waiting = self._clock.monotonic(), len(events)
        try:
            while events and not self._window.full:
                self._prepare(events.popleft(), sendings, now)
        finally:  # what is in the window is sent, also when the next one cannot be
            self._counters.read += waiting - len(events)
            self._sink.send(sendings)

    def _prepare(self, event: Event, sendings: list[Sending], now: float) -> None:
        """Make the messages of ``event``; its position is reached when the last of them is settled."""
        position, items, committed, skipped, origin = event
        if skipped:
            self._counters.skip(skipped)
        if not items:
            self._window.admit_position(position)
            return
        for item in items:
            message, size = self._message(item, origin, position)
            delivery = Delivery(None, size, now, committed=committed, item=item)
            self._window.admit(delivery)
            sendings.append((message, delivery))
        delivery.position = position
        if position > self._counters.sent_up_to:
            self._counters.sent_up_to = position
        elif origin == STREAM:
            self._counters.possible_duplicates += len(items)
        if origin == RECOVERY:
            self._counters.recovered += len(items)

    def _message(
        self, item: Transition | Poison, origin: bytes, position: Position
    ) -> tuple[Message, int]:
        """The message for an item, and its size in bytes."""
        if isinstance(item, Transition):
            message = self._format.message(item, origin)
            size = message.size()
            if size <= self._most:
                return message, size
            message = self._oversize(item, size, origin, position)
        else:
            message = self._dead_letter(item, origin, position)
        return message, message.size()

    def _oversize(self, item: Transition, size: int, origin: bytes, position: Position) -> Message:
        reason = f"{TOO_LARGE} {size} bytes, more than topic {self._format.topic} takes"
        if not self._set_aside_oversize:
            raise PoisonEvent(
                f"Job {item.job_id:.100}: {reason}",
                _STOPPED,
                "Raise the topic's max.message.bytes, or set kafka.on_oversize = dead-letter",
            )
        return self._dead_letter(
            Poison(reason, item.job_id, item.state, item.time, item.trans_id, item.sequence),
            origin,
            position,
        )

    def _dead_letter(self, poison: Poison, origin: bytes, position: Position) -> Message:
        topic = self._format.dead_letter_topic
        if not self._sink.max_message_bytes(topic):
            raise PoisonEvent(
                f"A transition cannot be sent ({poison.reason}), and there is no topic {topic} to set it aside",
                _STOPPED,
                "'job-bridge topics create' makes it",
            )
        if not self._is_again(position, origin):
            self._note(poison)
        return self._format.dead_letter(poison, origin, self._clock.now())

    def _note(self, poison: Poison) -> None:
        """Count one more that is set aside, and say so; raises ``PoisonEvent`` when they are too many."""
        topic = self._format.dead_letter_topic
        if self._brake.exceeded(self._clock.monotonic()):
            raise PoisonEvent(
                f"Too many dead letters within an hour; the next: {poison.reason}",
                _STOPPED,
                f"Look at {topic}: when they are as expected, raise delivery.dead_letters_per_hour",
            )
        extra = {
            "job_id": poison.job_id[:100],
            "trans_id": poison.trans_id[:100],
            "reason": poison.reason,
        }
        logger.warning("set aside to %s, not sent", topic, extra=extra)
        self._counters.dead_lettered += 1

    def _is_again(self, position: Position, origin: bytes) -> bool:
        """Whether an event was on its way before, and is read again after a failure; jobs of a recovery may share a position."""
        up_to = self._counters.sent_up_to
        return position <= up_to if origin == STREAM else origin == RECOVERY and position < up_to
