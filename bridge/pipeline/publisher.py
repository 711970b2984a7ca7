"""Turns events into messages and hands them to the sink."""

import logging
from collections import deque

from bridge.errors import PoisonEvent
from bridge.hints import Hint
from bridge.logs import BatchNotes
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
_BRAKED = (
    "Nothing is lost: everything before it is delivered, and the next start continues with this "
    "event"
)


class Publisher:
    """Publishes events in their order; a dead letter keeps its transition's order.

    Attributes:
        sink: Where messages go.
        window: Holds the messages in flight.
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
        self._format = message_format
        self._brake = brake
        self._clock = context.clock
        self._counters = context.counters
        self._sent = context.sent
        self._dead_letter_oversize = dead_letter_oversize
        self._max_bytes = sink.max_message_bytes(message_format.topic)
        #: Where the session starts.
        self._start = window.position
        #: The dead letters of the event that is being prepared.
        self._letters: list[Poison] = []
        self._notes = BatchNotes(logger)

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
            self._letters.clear()
            self._notes.log()

    def _prepare(self, event: Event, sendings: list[Sending], now: float) -> None:
        """Make the messages of ``event``; the last of them carries its position.

        Nothing of an event is sent if its messages cannot all be made.
        """
        position, items, committed, skipped, origin = event
        if skipped:
            self._counters.skip(skipped)
        if not items:
            self.window.admit_position(position)
            return
        prepared: list[Sending] = []
        for item in items:
            message, size, letter = self._message(item, origin, committed)
            delivery = Delivery(None, size, now)
            # Set here: as keywords they cost as much as the object.
            delivery.item = item  # also of a dead letter: a tag is that of the transition
            if letter is None:
                delivery.committed = committed
            else:
                delivery.letter = letter
            prepared.append((message, delivery))
        if self._letters:
            self._count_letters(position, origin, now)
        for _, delivery in prepared:
            self.window.admit(delivery)
        sendings += prepared
        delivery.position = position
        if position > self._sent.highest:
            self._sent.highest = position
        elif origin == STREAM and position > self._sent.read_back:
            self._counters.possible_duplicates += len(items)
        if origin == RECOVERY:
            self._counters.recovered += len(items)

    def _message(
        self, item: Transition | Poison, origin: bytes, committed: float | None
    ) -> tuple[Message, int, Poison | None]:
        """Return the message of an item, the size of its delivery, and its dead letter if any."""
        if isinstance(item, Transition):
            message = self._format.message(item, origin, committed)
            size = message.size()
            if size <= self._max_bytes:
                return message, size, None
            item = self._oversize(item, size)
        message = self._dead_letter(item, origin)
        # The message is truncated, but its delivery keeps the whole item in memory.
        kept = sum(len(field) for field in item if isinstance(field, str))
        return message, max(message.size(), kept), item

    def refusal_of(self, item: Transition, origin: bytes) -> str:
        """Return why the topic does not accept the message of ``item``; empty if it does."""
        size = self._format.message(item, origin).size()
        return "" if size <= self._max_bytes else self._oversize_reason(size)

    def _oversize_reason(self, size: int) -> str:
        return f"{TOO_LARGE} {size} bytes, more than topic {self._format.topic} accepts"

    def _oversize(self, item: Transition, size: int) -> Poison:
        reason = self._oversize_reason(size)
        if not self._dead_letter_oversize:
            raise PoisonEvent(
                f"Job {item.job_id:.100}: {reason}",
                _STOPPED,
                "Raise the topic's max.message.bytes, or set kafka.on_oversize = dead-letter",
            )
        return Poison(reason, *item)

    def _dead_letter(self, poison: Poison, origin: bytes) -> Message:
        topic = self._format.dead_letter_topic
        if not self.sink.max_message_bytes(topic):
            raise PoisonEvent(
                f"A transition cannot be sent ({poison.reason}), "
                f"and its dead-letter topic {topic} does not exist",
                _STOPPED,
                f"'{Hint.CREATE_TOPICS}' creates it",
            )
        self._letters.append(poison)
        return self._format.dead_letter(poison, origin, self._clock.now())

    def _count_letters(self, position: Position, origin: bytes, now: float) -> None:
        """Count and log the dead letters of an event, unless an earlier session did.

        Raises ``PoisonEvent`` when there were too many before it.
        """
        letters = self._letters
        self._letters = []
        if self._sent.is_repeat(position, origin):
            return
        topic = self._format.dead_letter_topic
        # A recovery reads the jobs at its cursor again: letters sent before a restart count once.
        if not (position.recovery_cursor and position == self._start):
            self._brake_before(letters[0], topic, now)
            self._brake.count(len(letters), now)
        self._counters.dead_lettered += len(letters)
        for poison in letters:
            self._notes.add(
                f"a transition was dead-lettered to {topic}; '{Hint.LIST_DEAD_LETTERS}' shows it",
                job_id=poison.job_id[:100],
                trans_id=poison.trans_id[:100],
                reason=poison.reason,
            )

    def _brake_before(self, poison: Poison, topic: str, now: float) -> None:
        if self._brake.engaged(now):
            raise PoisonEvent(
                f"Too many dead letters within an hour; the next: {poison.reason}",
                _BRAKED,
                f"Check {topic}; if they are expected, restart, "
                f"or raise delivery.dead_letters_per_hour ({self._brake.max_per_hour})",
            )
