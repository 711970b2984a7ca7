"""Background modes: the change stream from now on, and sweeps for remaining tags in between."""

from collections.abc import Sequence
from math import inf
from typing import Protocol

from bridge.delivery.context import ModeContext
from bridge.delivery.untagging_sink import InFlight
from bridge.model.transition import SWEEP, Batch, Event
from bridge.pipeline.ports import Items, SlowReader, Stream, Tagger, Tags

#: Jobs whose earlier transitions are known to be sent or in flight; far more than are in flight.
_MAX_CHECKED_JOBS = 10_000
#: Jobs of the stream that are remembered during a sweep.
_MAX_STREAMED_JOBS = 10_000
#: Tagged jobs that are read at once.
_JOBS_AT_ONCE = 200


class NoStream:
    """The stream of a deployment without change streams: the sweep finds every transition."""

    def read(self) -> Batch | None:
        return None


class Pace(Protocol):
    """How often to look for tags, and how old they have to be; both in seconds."""

    @property
    def every_seconds(self) -> float: ...

    @property
    def older_than_seconds(self) -> float: ...


class SweepingStream:
    """Delivers the stream and the sweeps; see :class:`bridge.pipeline.ports.Stream`.

    - A sweep starts when the stream has nothing to read; the first one at once.
    - It skips transitions in flight, and those newer than the stream's position: the stream will
      deliver them. The stream continues while a part of a sweep is being read.
    - Before the first event of a job come its earlier transitions that are still tagged, so that
      the job's order is kept.
    - A job that the stream delivers during a sweep is left to the next sweep: what was read of it
      may be older.
    """

    def __init__(
        self, stream: Stream, tags: Tags, in_flight: InFlight, *, pace: Pace, context: ModeContext
    ) -> None:
        self._stream = stream
        self._tags = tags
        self._in_flight = in_flight
        self._pace = pace
        self._readers = context.readers
        self._clock = context.pipeline.clock
        self._counters = context.pipeline.counters
        self._position = context.position
        self._alone = not context.streams
        #: The sweep that is being read; None between two sweeps.
        self._sweep: SlowReader[Items] | None = None
        self._next_sweep = self._clock.monotonic()
        #: Jobs whose earlier transitions were looked for.
        self._checked: set[str] = set()
        #: In flight when this sweep started: such a transition may have lost its tag since.
        self._in_flight_before = InFlight()
        #: Jobs that the stream delivered since this sweep started.
        self._streamed: set[str] = set()

    def read(self) -> Batch | None:
        # After too many jobs of the stream, the part of the sweep under way comes first.
        batch = None if self._is_outdated else self._stream.read()
        if batch is None:
            return self._swept()
        self._position = batch.position
        if self._sweep is not None:
            self._streamed.update(item.job_id for event in batch.events for item in event.items)
        return Batch(self._in_order(batch.events), batch.position)

    def _swept(self) -> Batch | None:
        """Return some tagged jobs, an event for each, at the present position."""
        now = self._clock.monotonic()
        if self._sweep is None:
            if now < self._next_sweep:
                return None
            self._sweep = self._start(now)
        jobs = self._sweep.poll(_JOBS_AT_ONCE)
        if jobs is None:
            return None
        if self._is_outdated:
            self._next_sweep = now  # the rest of this sweep is read again
        if self._sweep.ended or self._is_outdated:
            self._sweep = None
        events = [event for items in jobs if (event := self._swept_event(items))]
        return Batch(events, self._position) if events else None

    def _start(self, now: float) -> SlowReader[Items]:
        self._next_sweep = now + self._pace.every_seconds
        self._streamed.clear()
        self._in_flight_before = self._in_flight.copy()
        before = min(self._clock.now() - self._pace.older_than_seconds, self._read_up_to)
        return self._readers.reader(self._tags.pending(before))

    def _swept_event(self, items: Items) -> Event | None:
        if items[0].job_id in self._streamed:
            return None
        return self._event([item for item in items if item not in self._in_flight_before])

    @property
    def _is_outdated(self) -> bool:
        return self._sweep is not None and len(self._streamed) > _MAX_STREAMED_JOBS

    @property
    def _read_up_to(self) -> float:
        return inf if self._alone else self._position.cluster_time.seconds

    def _in_order(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return ``events`` after the earlier tagged transitions of their jobs."""
        items = [item for event in events for item in event.items]
        first = {item.job_id: item for item in reversed(items) if item.job_id not in self._checked}
        if not first:
            return events
        if len(self._checked) > _MAX_CHECKED_JOBS:
            self._checked.clear()
        self._checked |= first.keys()
        earlier = self._tags.earlier([*first.values()]).values()
        before = [event for items in earlier if (event := self._event(items))]
        return [*before, *events]

    def _event(self, items: Items) -> Event | None:
        """Return an event of the transitions that are not in flight."""
        left = [item for item in items if item not in self._in_flight]
        self._counters.swept += len(left)
        return Event(self._position, left, origin=SWEEP) if left else None


class TaggingStream:
    """A stream that tags the jobs of its events before it delivers them.

    For services that do not set the tags themselves.
    """

    def __init__(self, stream: Stream, tagger: Tagger) -> None:
        self._stream = stream
        self._tagger = tagger

    def read(self) -> Batch | None:
        batch = self._stream.read()
        if batch is not None:
            items = [item for event in batch.events for item in event.items]
            if items:
                self._tagger.put(items)
        return batch
