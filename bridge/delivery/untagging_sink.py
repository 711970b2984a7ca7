"""Background modes: a message is settled when Kafka has it and its tag is removed."""

from collections import deque
from collections.abc import Sequence

from bridge.errors import BridgeError
from bridge.model.transition import Poison, Transition
from bridge.model.window import Delivery, Sending
from bridge.pipeline.ports import Sink, Tags

#: Tags removed by one write; that many fit its deadline, also in large documents.
_TAGS_AT_ONCE = 500

Identity = tuple[str, str, str]


def identity_of(item: Transition | Poison) -> Identity:
    """Return the values that identify a transition in any two readings of it.

    The sequence is not among them: it changes when the service removes earlier transitions.
    """
    return item.job_id, item.trans_id, item.state


class InFlight:
    """The transitions in flight, from being sent to being untagged."""

    def __init__(self) -> None:
        self._identities: set[Identity] = set()

    def __contains__(self, item: Transition | Poison) -> bool:
        return identity_of(item) in self._identities

    def add(self, item: Transition | Poison) -> None:
        self._identities.add(identity_of(item))

    def discard(self, item: Transition | Poison) -> None:
        self._identities.discard(identity_of(item))

    def clear(self) -> None:
        """Forget all of them: a new producer sends again what its predecessor had in flight."""
        self._identities.clear()

    def copy(self) -> "InFlight":
        """Return the transitions in flight at this moment."""
        copy = InFlight()
        copy._identities |= self._identities
        return copy


class UntaggingSink:
    """A sink that removes the tags of acknowledged messages.

    When that fails Kafka has the message and the tag remains: the message is sent again later.
    See :class:`bridge.pipeline.ports.Sink`.
    """

    def __init__(self, sink: Sink, tags: Tags, in_flight: InFlight) -> None:
        self._sink = sink
        self._tags = tags
        self._in_flight = in_flight
        self._failed = False
        self._acknowledged: deque[Delivery] = deque()
        self.max_message_bytes = sink.max_message_bytes

    @property
    def broken(self) -> bool:
        return self._failed or self._sink.broken

    def send(self, sendings: Sequence[Sending]) -> None:
        for _, delivery in sendings:
            if delivery.item is not None:
                self._in_flight.add(delivery.item)
        self._sink.send(sendings)

    def settled(self) -> Sequence[Delivery]:
        """Return acknowledged and untagged deliveries, a part at a time.

        Raises the errors of MongoDB; then nothing more is settled.
        """
        if self._failed:
            return []
        if not self._acknowledged:
            self._acknowledged.extend(self._sink.settled())
        count = min(_TAGS_AT_ONCE, len(self._acknowledged))
        settled = [self._acknowledged.popleft() for _ in range(count)]
        items = [delivery.item for delivery in settled if delivery.item is not None]
        try:
            if items:
                self._tags.clear(items)
        except BridgeError:
            self._failed = True
            raise
        for item in items:
            self._in_flight.discard(item)
        return settled
