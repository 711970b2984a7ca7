"""Turns events into messages and hands them to the sink."""

import logging
from collections import deque

from bridge.errors import PoisonEvent
from bridge.hints import Hint
from bridge.model.message import TOO_LARGE, Message, MessageFormat
from bridge.model.policy import DeadLetterBrake
from bridge.model.position import Position
from bridge.model.transition import RECOVERY, STREAM, Event, Poison, Transition
from bridge.model.window import Delivery, Sending, Window
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.ports import Sink

logger = logging.getLogger(__name__)

_STOPPED = (
    "Nothing is lost: everything before it is delivered, and the next start reads this event again"
)


class Publisher:
    """Publishes events in their order; a dead letter keeps its transition's order.

    Attributes:
        sink: Where messages go.
        window: Holds the messages in flight.
        dead_lettered: Transitions that this publisher wrote to the dead-letter topic.
    """

    def __init__(
        self,
        sink: Sink,
        window: Window,
        message_format: MessageFormat,
        *,
        brake: DeadLetterBrake,
        context: PipelineContext,
        dead_letter_oversize: bool,
    ) -> None:
        self.sink = sink
        self.window = window
        self.dead_lettered = 0
        self._format = message_format
        self._brake = brake
        self._clock = context.clock
        self._counters = context.counters
        self._sent = context.sent
        self._dead_letter_oversize = dead_letter_oversize
        self._max_bytes = sink.max_message_bytes(message_format.topic)

    def publish(self, events: deque[Event]) -> None:
        """Take events from the left until the window is full, and send their messages.

        All messages are handed over together, so that the Kafka client makes large batches.
        """
        sendings: list[Sending] = []
        now = self._clock.monotonic()
        waiting = len(events)
        try:
            while events and not self.window.full:
                self._prepare(events.popleft(), sendings, now)
        finally:
            # Messages in the window are sent even when the next event cannot be.
            self._counters.read += waiting - len(events)
            self.sink.send(sendings)

    def _prepare(self, event: Event, sendings: list[Sending], now: float) -> None:
        """Make the messages of ``event``; the last of them carries its position."""
        position, items, committed, skipped, origin = event
        if skipped:
            self._counters.skip(skipped)
        if not items:
            self.window.admit_position(position)
            return
        for item in items:
            message, size = self._message(item, origin, position)
            delivery = Delivery(None, size, now)
            delivery.committed = committed  # set here: as keywords they cost as much as the object
            delivery.item = item
            self.window.admit(delivery)
            sendings.append((message, delivery))
        delivery.position = position
        if position > self._sent.highest:
            self._sent.highest = position
        elif origin == STREAM:
            self._counters.possible_duplicates += len(items)
        if origin == RECOVERY:
            self._counters.recovered += len(items)

    def _message(
        self, item: Transition | Poison, origin: bytes, position: Position
    ) -> tuple[Message, int]:
        """Return the message of an item, and its size in bytes."""
        if isinstance(item, Transition):
            message = self._format.message(item, origin)
            size = message.size()
            if size <= self._max_bytes:
                return message, size
            message = self._oversize(item, size, origin, position)
        else:
            message = self._dead_letter(item, origin, position)
        return message, message.size()

    def _oversize(self, item: Transition, size: int, origin: bytes, position: Position) -> Message:
        reason = f"{TOO_LARGE} {size} bytes, more than topic {self._format.topic} accepts"
        if not self._dead_letter_oversize:
            raise PoisonEvent(
                f"Job {item.job_id:.100}: {reason}",
                _STOPPED,
                "Raise the topic's max.message.bytes, or set kafka.on_oversize = dead-letter",
            )
        poison = Poison(reason, item.job_id, item.state, item.time, item.trans_id, item.sequence)
        return self._dead_letter(poison, origin, position)

    def _dead_letter(self, poison: Poison, origin: bytes, position: Position) -> Message:
        topic = self._format.dead_letter_topic
        if not self.sink.max_message_bytes(topic):
            raise PoisonEvent(
                f"A transition cannot be sent ({poison.reason}), "
                f"and its dead-letter topic {topic} does not exist",
                _STOPPED,
                f"'{Hint.CREATE_TOPICS}' creates it",
            )
        if not self._sent.is_repeat(position, origin):
            self._count(poison)
        return self._format.dead_letter(poison, origin, self._clock.now())

    def _count(self, poison: Poison) -> None:
        """Count and log a dead letter. Raises ``PoisonEvent`` when there are too many."""
        topic = self._format.dead_letter_topic
        if self._brake.exceeded(self._clock.monotonic()):
            raise PoisonEvent(
                f"Too many dead letters within an hour; the next: {poison.reason}",
                _STOPPED,
                f"Check {topic}; if they are expected, raise delivery.dead_letters_per_hour",
            )
        extra = {
            "job_id": poison.job_id[:100],
            "trans_id": poison.trans_id[:100],
            "reason": poison.reason,
        }
        logger.warning("a transition cannot be sent: dead-lettered to %s", topic, extra=extra)
        self.dead_lettered += 1
        self._counters.dead_lettered += 1
