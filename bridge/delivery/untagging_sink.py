"""Background modes: a message is settled when Kafka has it and its tag is gone."""

from collections import deque
from collections.abc import Sequence

from bridge.errors import BridgeError
from bridge.model.transition import Poison, Transition
from bridge.model.window import Delivery, Sending
from bridge.pipeline.ports import Sink, Tags

#: Tags that are taken off at once: so many within one write's deadline, also in large documents.
_AT_ONCE = 500

Identity = tuple[str, str, int | None]


def identity_of(item: Transition | Poison) -> Identity:
    """By which two readings of one transition are known to be the same."""
    return item.job_id, item.trans_id, item.sequence


class InFlight:
    """The transitions that are on their way, from being sent to being untagged."""

    def __init__(self) -> None:
        self._held: set[Identity] = set()

    def __contains__(self, item: Transition | Poison) -> bool:
        return identity_of(item) in self._held

    def add(self, item: Transition | Poison) -> None:
        self._held.add(identity_of(item))

    def now(self) -> "InFlight":
        """A copy: what is on its way at this moment."""
        copy = InFlight()
        copy._held |= self._held
        return copy

    def clear(self) -> None:
        """Nothing is on its way any more: what was is sent anew."""
        self._held.clear()

    def discard(self, item: Transition | Poison) -> None:
        self._held.discard(identity_of(item))


class UntaggingSink:
    """A sink that removes the tags of what was acknowledged; see :class:`bridge.pipeline.ports.Sink`.

    When that fails the message is there and its tag too: it will be sent again.
    """

    def __init__(self, sink: Sink, tags: Tags, held: InFlight) -> None:
        self._sink, self._tags, self._held = sink, tags, held
        self._failed = False
        self._acknowledged: deque[Delivery] = deque()
        self.max_message_bytes = sink.max_message_bytes

    @property
    def broken(self) -> bool:
        return self._failed or self._sink.broken

    def send(self, sendings: Sequence[Sending]) -> None:
        for _, delivery in sendings:
            if delivery.item is not None:
                self._held.add(delivery.item)
        self._sink.send(sendings)

    def settled(self) -> Sequence[Delivery]:
        """What is acknowledged and untagged, a part at a time. Raises what the database raises; then nothing more is settled."""
        if self._failed:
            return []
        if not self._acknowledged:
            self._acknowledged.extend(self._sink.settled())
        settled = [
            self._acknowledged.popleft() for _ in range(min(_AT_ONCE, len(self._acknowledged)))
        ]
        items = [delivery.item for delivery in settled if delivery.item is not None]
        try:
            if items:
                self._tags.clear(items)
        except BridgeError:
            self._failed = True
            raise
        for item in items:
            self._held.discard(item)
        return settled
