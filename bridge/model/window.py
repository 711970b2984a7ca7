"""The window: what was sent and is not yet settled, in stream order."""

from collections import deque
from collections.abc import Iterable, Iterator

from bridge.model.message import Message
from bridge.model.position import Position
from bridge.model.transition import Poison, Transition


class Delivery:
    """One message handed to Kafka, or a position without one, until it is settled.

    ``position`` is the place in the stream that is reached when this delivery and all before it
    are settled; None when more messages of the same event follow. ``item`` is what the message tells.
    """

    __slots__ = ("committed", "item", "position", "sent", "settled", "size")

    def __init__(
        self,
        position: Position | None,
        size: int = 0,
        sent: float = 0.0,
        committed: float | None = None,
        item: Transition | Poison | None = None,
    ) -> None:
        self.position = position
        self.size = size
        self.settled = False
        self.sent = sent
        self.committed = committed
        self.item = item


#: A message and its place in the window.
Sending = tuple[Message, Delivery]


class Window:
    """Bounded by count and by bytes; its settled prefix carries the position forward.

    The position moves here and nowhere else, and never backwards: skipped events and idle
    positions are admitted already settled and wait behind what is in flight.
    """

    def __init__(self, position: Position, messages: int, size: int) -> None:
        self.position = position
        self._messages = messages
        self._bytes = size
        self._deliveries: deque[Delivery] = deque()
        self.count = 0
        self.bytes = 0
        #: The last of the settled prefix that told something.
        self.delivered: Transition | None = None

    def __bool__(self) -> bool:
        return bool(self._deliveries)

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._deliveries)

    @property
    def full(self) -> bool:
        """Whether nothing more may be sent before something is settled."""
        return self.count >= self._messages or self.bytes >= self._bytes

    @property
    def oldest(self) -> float | None:
        """When the oldest message in flight was sent (monotonic seconds); None when nothing is."""
        try:
            return self._deliveries[0].sent
        except IndexError:  # asked by another thread, a moment after the last one left
            return None

    def admit(self, delivery: Delivery) -> None:
        """Put a message that was sent behind all others."""
        self._deliveries.append(delivery)
        self.count += 1
        self.bytes += delivery.size

    def pass_by(self, position: Position) -> None:
        """Admit a position without a message; two in a row take one place."""
        if not self._deliveries:
            self._reach(position)
        elif self._deliveries[-1].settled and self._deliveries[-1].size == 0:
            self._deliveries[-1].position = position
        else:
            # For whoever asks how old the oldest is, in the moment it is the first.
            passed = Delivery(position, sent=self._deliveries[-1].sent)
            passed.settled = True
            self._deliveries.append(passed)

    def settle(self, deliveries: Iterable[Delivery]) -> None:
        """Note that Kafka has these messages; ``advance`` draws the conclusion."""
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
            self._reach(reached)
        if isinstance(item, Transition):
            self.delivered = item
        return self.position

    def _reach(self, position: Position) -> None:
        if position > self.position:
            self.position = position
