"""Background modes: the change stream from now on, and in between a look for what is still tagged."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from math import inf
from typing import Protocol

from bridge.clock import Clock
from bridge.delivery.untagging_sink import InFlight
from bridge.model.position import Position
from bridge.model.transition import SWEEP, Batch, Event, Poison, Transition
from bridge.observability.metrics import Counters
from bridge.pipeline.ports import Stream, Tagger, Tags

#: Jobs whose earlier transitions are known to be sent or on their way; far more than are under way at once.
_MOST_KNOWN = 10_000
#: Jobs the stream may tell of during one sweep.
_MOST_TOLD = 10_000
#: How many tagged jobs are read at once.
_JOBS = 200

Items = Sequence[Transition | Poison]
#: Gives the next, so many at most; None until they are there.
More = Callable[[int], Sequence[Items] | None]


class NoStream:
    """The stream of a deployment that has none: the sweep finds everything."""

    def read(self) -> Batch | None:
        return None


class Pace(Protocol):
    """How often to look for tags, and how old they have to be, both in seconds."""

    @property
    def every_seconds(self) -> float: ...

    @property
    def older_than_seconds(self) -> float: ...


class SweepingStream:
    """A stream of both; see :class:`bridge.pipeline.ports.Stream`.

    It sweeps when the stream has nothing to read, for the first time at once. What is on its way
    already is left alone, and so is what happened after the stream's position: the stream is going to
    tell it. A part of the sweep may take long to be found: meanwhile the stream goes on. Before the first event of a job come its
    transitions that are still tagged from before, so that its order is kept; and what was read of a job before the stream told of it is left to the next sweep.
    """

    def __init__(
        self,
        stream: Stream,
        tags: Tags,
        held: InFlight,
        pace: Pace,
        position: Position,
        clock: Clock,
        counters: Counters,
        taking: Callable[[Iterator[Items]], More] = lambda found: (
            lambda most: [*islice(found, most)]
        ),
    ) -> None:
        self._stream, self._tags, self._held, self._pace = stream, tags, held, pace
        self._alone = isinstance(stream, NoStream)
        self._position, self._clock, self._counters = position, clock, counters
        self._taking = taking
        #: Gives the next that are tagged, while there is a sweep.
        self._more: More | None = None
        self._next = clock.monotonic()
        self._known: set[str] = set()
        #: What was on its way when this sweep began: it may have lost its tag since it was found.
        self._on_its_way = InFlight()
        #: Jobs the stream told of since this sweep began: what it still holds of them may be older.
        self._told: set[str] = set()

    def read(self) -> Batch | None:
        # So much has happened since the sweep began: its part that is being looked for comes first.
        batch = None if self._is_behind else self._stream.read()
        if batch is None:
            return self._swept()
        self._position = batch.position
        if self._more is not None:
            self._tell(batch.events)
        return Batch(self._in_order(batch.events), batch.position)

    def _swept(self) -> Batch | None:
        """Some jobs that are tagged, each an event at the position where we are."""
        now = self._clock.monotonic()
        if self._more is None:
            if now < self._next:
                return None
            self._next = now + self._pace.every_seconds
            self._told.clear()
            self._on_its_way = self._held.now()
            self._more = self._taking(
                self._tags.pending(
                    min(self._clock.now() - self._pace.older_than_seconds, self._read_up_to)
                )
            )
        found = self._more(_JOBS)
        if found is None:
            return None
        if self._is_behind:  # what is left of the sweep is looked for anew
            self._next = now
        if len(found) < _JOBS or self._is_behind:
            self._more = None
        new = [
            [item for item in items if item not in self._on_its_way]
            for items in found
            if items[0].job_id not in self._told
        ]
        events = [event for items in new if (event := self._left(items))]
        return Batch(events, self._position) if events else None

    def _tell(self, events: Sequence[Event]) -> None:
        self._told.update(item.job_id for event in events for item in event.items)

    @property
    def _is_behind(self) -> bool:
        return self._more is not None and len(self._told) > _MOST_TOLD

    @property
    def _read_up_to(self) -> float:
        return inf if self._alone else self._position.cluster_time.seconds

    def _in_order(self, events: Sequence[Event]) -> Sequence[Event]:
        items = [item for event in events for item in event.items]
        first = {item.job_id: item for item in reversed(items) if item.job_id not in self._known}
        if not first:
            return events
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known |= first.keys()
        begun = [item for item in first.values() if item.sequence]
        before = (
            [self._left(found) for found in self._tags.earlier(begun).values()] if begun else []
        )
        return [*(event for event in before if event is not None), *events]

    def _left(self, items: Items) -> Event | None:
        """An event of those that are not on their way."""
        left = [item for item in items if item not in self._held]
        self._counters.swept += len(left)
        return Event(self._position, left, origin=SWEEP) if left else None


class TaggingStream:
    """A stream that tags the jobs of its events before it tells them, where their service does not."""

    def __init__(self, stream: Stream, tagger: Tagger) -> None:
        self._stream, self._tagger = stream, tagger

    def read(self) -> Batch | None:
        batch = self._stream.read()
        if batch is not None:
            items = [item for event in batch.events for item in event.items]
            if items:
                self._tagger.put(items)
        return batch
