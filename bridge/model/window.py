"""The window: the messages in flight, in stream order."""

from collections import deque
from collections.abc import Iterable, Iterator

from bridge.model.message import Message
from bridge.model.position import Position
from bridge.model.transition import Poison, Transition


class Delivery:
    """A message handed to Kafka until it is settled, or a position without a message.

    Attributes:
        position: Reached when this delivery and all before it are settled; None if more messages of
            the same event follow.
        size: About the bytes of the message, or of a dead letter's transition if that is larger; 0
            without a message.
        sent: When it was sent, in monotonic seconds.
        committed: When MongoDB committed the event, in Unix seconds; None if unknown, and for
            a dead letter, which has no latency.
        item: The transition that the message contains.
        letter: The dead letter that the message is; None for a transition.
    """

    __slots__ = ("committed", "item", "letter", "position", "sent", "settled", "size")

    def __init__(
        self,
        position: Position | None,
        size: int = 0,
        sent: float = 0.0,
        *,
        committed: float | None = None,
        item: Transition | Poison | None = None,
    ) -> None:
        self.position = position
        self.size = size
        self.settled = False
        self.sent = sent
        self.committed = committed
        self.item = item
        self.letter: Poison | None = None


#: A message and its delivery in the window.
Sending = tuple[Message, Delivery]


class Window:
    """The messages in flight, bounded by count and bytes; the settled prefix moves the position.

    The position moves here and nowhere else, and never backwards. Positions without a message
    are admitted as settled, and wait for the messages before them.
    """

    def __init__(self, position: Position, max_messages: int, max_bytes: int) -> None:
        self.position = position
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._deliveries: deque[Delivery] = deque()
        self.count = 0
        self.bytes = 0
        #: The last transition of the settled prefix.
        self.delivered: Transition | None = None

    def __bool__(self) -> bool:
        return bool(self._deliveries)

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._deliveries)

    @property
    def full(self) -> bool:
        """Whether nothing may be sent before a message is settled."""
        return self.count >= self._max_messages or self.bytes >= self._max_bytes

    @property
    def oldest(self) -> float | None:
        """When the oldest message in flight was sent (monotonic seconds); None without any."""
        try:
            return self._deliveries[0].sent
        except IndexError:  # Another thread may read this while the last delivery is removed.
            return None

    def oldest_age(self, now: float) -> float | None:
        """Return how long the oldest message has been in flight at ``now``; None without one.

        Both are monotonic seconds.
        """
        oldest = self.oldest
        return None if oldest is None else max(0.0, now - oldest)

    def admit(self, delivery: Delivery) -> None:
        """Add a message that is being sent, after all others."""
        self._deliveries.append(delivery)
        self.count += 1
        self.bytes += delivery.size

    def admit_position(self, position: Position) -> None:
        """Add a position without a message; consecutive positions share a delivery."""
        if not self._deliveries:
            self._move_to(position)
        elif self._deliveries[-1].settled and self._deliveries[-1].size == 0:
            self._deliveries[-1].position = position
        else:
            # With a time, because it may be the oldest delivery for a moment.
            without_message = Delivery(position, sent=self._deliveries[-1].sent)
            without_message.settled = True
            self._deliveries.append(without_message)

    def settle(self, deliveries: Iterable[Delivery]) -> None:
        """Mark these deliveries as acknowledged; ``advance`` then moves the position."""
        for delivery in deliveries:
            if not delivery.settled:
                delivery.settled = True
                self.count -= 1
                self.bytes -= delivery.size

    def advance(self) -> Position:
        """Drop the settled prefix and return the position it reached."""
        deliveries = self._deliveries
        reached = item = None
        while deliveries and deliveries[0].settled:
            first = deliveries.popleft()
            reached, item = first.position or reached, first.item or item
        if reached is not None:
            self._move_to(reached)
        if isinstance(item, Transition):
            self.delivered = item
        return self.position

    def _move_to(self, position: Position) -> None:
        if position > self.position:
            self.position = position
