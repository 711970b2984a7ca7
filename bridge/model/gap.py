"""A gap: transitions the stream can no longer tell, to be published from the jobs' own history."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf

from bridge.model.position import Position
from bridge.model.transition import Poison, Transition


@dataclass(frozen=True, slots=True)
class Gap:
    """What to publish from history, and the position from which the stream tells the rest.

    ``since`` bounds the transitions' own times (Unix seconds), less the margin for clocks that differ between writers; it is
    None for all history. There is no other bound: what was written while history is read is told twice, rather than what a
    clock that is ahead dated too late not at all. Whoever wrote after ``until`` wrote an update time of ``recent`` or later. So
    jobs updated from there on are looked for once more when all were read: a job whose update time moved back meanwhile, as
    another writer's clock does it, may have been missed. Reading that goes on at a place later than ``back_to`` begins there.
    """

    since: float | None
    until: Position
    recent: float
    reread_from: float | None = None

    def select(self, items: Sequence[Transition | Poison]) -> list[Transition | Poison]:
        """What of a job's history belongs to the gap: from the first transition of its time on, all.

        What follows in a history happened later, whatever a clock said, and a hole would be filled in by the stream, too late.
        What has no time may belong to it, so it does.
        """
        begin = next(
            (
                n
                for n, item in enumerate(items)
                if isinstance(item, Transition) and self._holds(item)
            ),
            len(items),
        )
        return [item for n, item in enumerate(items) if n >= begin or isinstance(item, Poison)]

    def extended_by(self, other: "Gap") -> "Gap":
        """This gap and the one right after it: of jobs that were read already, what was written after ``until`` may be missing."""
        return replace(
            other,
            since=self.since,
            reread_from=self.recent
            if self.reread_from is None
            else min(self.recent, self.reread_from),
        )

    def _holds(self, item: Transition) -> bool:
        return self.since is None or moment_of(item) >= self.since


def gap_after(
    position: Position, until: Position, margin: float, now: float, known: float = inf
) -> Gap:
    """The gap between what was delivered up to ``position`` and ``until``.

    Cluster times may be ahead of all clocks, as after one that was wrong for a moment: they never go back. So ``now`` is this moment
    by the wall clock, and ``known`` one at which all up to ``position`` was delivered, by whatever clock tells it; Unix seconds.
    """
    return replace(
        all_before(until, margin, now), since=min(position.cluster_time.seconds, known) - margin
    )


def all_before(until: Position, margin: float, now: float) -> Gap:
    """Everything the jobs tell of the time before ``until``; ``now`` as above."""
    return Gap(None, until, min(until.cluster_time.seconds, now) - margin)


def moment_of(transition: Transition) -> float:
    """When a transition happened, by its writer's clock; Unix seconds."""
    return datetime.fromisoformat(transition.time).timestamp()
