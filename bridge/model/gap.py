"""A gap: transitions that the stream can no longer deliver, to be read from the jobs' history."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf

from bridge.model.job_history import JobHistory
from bridge.model.position import Position
from bridge.model.transition import Poison, Transition

#: The first letter of the recovery cursor while jobs are read by the time in their ``_id``.
CREATED = "i"


@dataclass(frozen=True, slots=True)
class Gap:
    """The transitions to publish from history, and where the stream continues.

    Attributes:
        since: The oldest transition time to publish, in Unix seconds, with the margin for differing
            clocks already subtracted. None for all history. There is no upper bound on purpose: it
            would drop a transition whose writer's clock runs ahead. The price is that transitions
            written during the recovery are sent twice.
        until: The stream position taken before the history is read. The stream continues here.
        recent: Jobs written after ``until`` have an update time of at least this (Unix seconds).
            They are read once more at the end, because a job whose update time moved backwards
            during the read, as another writer's clock can do, may have been missed.
        reread_from: When the gap was extended, a read that has got further than this update time
            restarts here, because jobs that were already read may have changed since.
    """

    since: float | None
    until: Position
    recent: float
    reread_from: float | None = None

    def select(self, job: JobHistory) -> Sequence[Transition | Poison]:
        """Return the part of a job's history that belongs to the gap.

        - The whole history of a job that was created in the gap, also with old times (an import).
        - Otherwise everything from the first transition in the gap onward, whatever the clocks of
          the later ones show: a hole would be filled later by the stream, out of order. Items that
          cannot be sent always belong to the gap, because they may lack a usable time.
        """
        items = job.items
        if job.created is not None and self._reaches(job.created):
            return items
        start = next(
            (
                index
                for index, item in enumerate(items)
                if isinstance(item, Transition) and self._includes(item)
            ),
            len(items),
        )
        return [
            item for index, item in enumerate(items) if index >= start or isinstance(item, Poison)
        ]

    def extended_by(self, other: "Gap") -> "Gap":
        """Return a gap that covers this gap and ``other``, which follows it.

        Jobs that were already read may lack transitions written after ``until``, so the read
        restarts at ``reread_from``.
        """
        return replace(
            other,
            since=self.since,
            reread_from=self.recent
            if self.reread_from is None
            else min(self.recent, self.reread_from),
        )

    def _includes(self, item: Transition) -> bool:
        return self._reaches(unix_time_of(item))

    def _reaches(self, seconds: float) -> bool:
        return self.since is None or seconds >= self.since


def gap_between(
    position: Position, until: Position, margin: float, now: float, delivered_by: float = inf
) -> Gap:
    """Return the gap between the delivered ``position`` and ``until``.

    Cluster times never go back, so they stay ahead of the wall clocks after a server's clock was
    ahead. Therefore two wall-clock times (Unix seconds) bound the transitions' own times too.

    Args:
        position: Everything up to here is delivered.
        until: Where the stream continues.
        margin: How far the writers' clocks may differ, in seconds.
        now: The wall-clock time.
        delivered_by: A wall-clock time by which everything up to ``position`` was delivered.
    """
    return replace(
        gap_of_all_history(until, margin, now),
        since=min(position.cluster_time.seconds, delivered_by) - margin,
    )


def gap_of_all_history(until: Position, margin: float, now: float) -> Gap:
    """Return the gap that holds all history of all jobs; arguments as in :func:`gap_between`."""
    return Gap(None, until, min(until.cluster_time.seconds, now) - margin)


def unix_time_of(transition: Transition) -> float:
    """Return the time of a transition by its writer's clock, in Unix seconds."""
    return datetime.fromisoformat(transition.time).timestamp()
