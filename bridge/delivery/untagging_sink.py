"""Background modes: a message is settled when Kafka has it and its tag is removed."""

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress

from bridge.errors import BridgeError
from bridge.model.transition import Poison, Transition
from bridge.model.window import Delivery, Sending
from bridge.pipeline.ports import Sink, Tags
from bridge.pipeline.pulse import Pulse

#: Tags removed by one write; that many fit its deadline, also in large documents.
_TAGS_AT_ONCE = 500
#: More transitions than a window usually holds; beyond that they are sent again.
_MAX_STILL_TAGGED = 100_000

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


class StillTagged:
    """Transitions that Kafka has acknowledged and whose tags could not be removed.

    It outlives sessions: a later session removes those tags without sending the messages again.
    """

    def __init__(self) -> None:
        self._items: set[Transition | Poison] = set()

    def __bool__(self) -> bool:
        return bool(self._items)

    def keep(self, items: Iterable[Transition | Poison]) -> None:
        if len(self._items) > _MAX_STILL_TAGGED:
            self._items.clear()
        self._items |= {_without_sequence(item) for item in items}

    def take(self, item: Transition | Poison) -> bool:
        """Return whether Kafka has exactly this transition, and forget it."""
        item = _without_sequence(item)
        if item not in self._items:
            return False
        self._items.discard(item)
        return True


class UntaggingSink:
    """A sink that removes the tags of acknowledged messages.

    When that fails Kafka has the message and the tag remains: ``still_tagged`` keeps it, and a
    later sink removes the tag. See :class:`bridge.pipeline.ports.Sink`.
    """

    def __init__(
        self, sink: Sink, tags: Tags, in_flight: InFlight, *, still_tagged: StillTagged
    ) -> None:
        self._sink = sink
        self._tags = tags
        self._in_flight = in_flight
        self._still_tagged = still_tagged
        self._failed = False
        self._acknowledged: deque[Delivery] = deque()
        #: Messages that the sink has accepted and Kafka has not acknowledged.
        self._unacknowledged = 0
        self.max_message_bytes = sink.max_message_bytes

    @property
    def broken(self) -> bool:
        return self._failed or self._sink.broken

    def send(self, sendings: Sequence[Sending]) -> None:
        for _, delivery in sendings:
            if delivery.item is not None:
                self._in_flight.add(delivery.item)
        if self._still_tagged:
            sendings = self._without_still_tagged(sendings)
        self._sink.send(sendings)
        self._unacknowledged += len(sendings)

    def settled(self) -> Sequence[Delivery]:
        """Return acknowledged and untagged deliveries, a part at a time.

        Raises the errors of MongoDB; then nothing more is settled.
        """
        if self._failed:
            return []
        if not self._acknowledged:
            self._collect()
        count = min(_TAGS_AT_ONCE, len(self._acknowledged))
        settled = [self._acknowledged.popleft() for _ in range(count)]
        items = _items_of(settled)
        try:
            if items:
                self._tags.clear(items)
        except BridgeError:
            self._failed = True
            self._still_tagged.keep(items)
            raise
        for item in items:
            self._in_flight.discard(item)
        return settled

    def leave(self, pulse: Pulse, seconds: float) -> None:
        """Keep the acknowledged transitions that are still tagged, for the next sink.

        After a failure of MongoDB it waits for the messages in flight, for at most ``seconds``
        and not during a stop: the next session would send those without an acknowledgement again.
        """
        deadline = pulse.clock.monotonic() + seconds
        with suppress(BridgeError):
            while (
                self._failed
                and self._unacknowledged > 0
                and not self._sink.broken
                and not pulse.stop.is_set()
                and (left := deadline - pulse.clock.monotonic()) > 0
            ):
                pulse.wake.clear()
                self._collect()
                if self._unacknowledged > 0:
                    pulse.wait_for_answers(left)
                pulse.keep_alive()
        self._still_tagged.keep(_items_of(self._acknowledged))
        self._acknowledged.clear()

    def _collect(self) -> None:
        acknowledged = self._sink.settled()
        self._unacknowledged -= len(acknowledged)
        self._acknowledged.extend(acknowledged)

    def _without_still_tagged(self, sendings: Sequence[Sending]) -> Sequence[Sending]:
        """Count the transitions that Kafka has as acknowledged; return the others."""
        unsent: list[Sending] = []
        for sending in sendings:
            delivery = sending[1]
            if delivery.item is not None and self._still_tagged.take(delivery.item):
                self._acknowledged.append(delivery)
            else:
                unsent.append(sending)
        return unsent


def _items_of(deliveries: Iterable[Delivery]) -> list[Transition | Poison]:
    return [delivery.item for delivery in deliveries if delivery.item is not None]


def _without_sequence(item: Transition | Poison) -> Transition | Poison:
    """Return ``item`` as its message contains it; see :func:`identity_of`."""
    return item._replace(sequence=None)
