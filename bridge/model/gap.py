"""A gap: transitions the stream can no longer tell, to be published from the jobs' own history."""

from dataclasses import dataclass, replace
from datetime import datetime

from bridge.model.position import Position
from bridge.model.transition import Poison, Transition


@dataclass(frozen=True, slots=True)
class Gap:
    """What to publish from history, and the position from which the stream tells the rest.

    ``since`` and ``before`` bound the transitions' own times (Unix seconds); ``since`` is None for
    all history. Both hold the margin for clock differences between writers. ``back`` is how far before the place
    it has reached a recovery reads again when it goes on, in seconds.
    """

    since: float | None
    before: float
    until: Position
    back: float = 0.0

    def holds(self, item: Transition | Poison) -> bool:
        """Whether ``item`` belongs to the gap; what has no time may, so it does."""
        if not isinstance(item, Transition):
            return True
        moment = moment_of(item)
        return (self.since is None or moment >= self.since) and moment < self.before

    def longer(self, other: "Gap") -> "Gap":
        """This gap and the one right after it: where this was read already, writers may have been late by the margin."""
        return replace(self, before=other.before, until=other.until, back=other.before - other.until.cluster_time.seconds)


def gap_after(position: Position, until: Position, margin: float) -> Gap:
    """The gap between what was delivered up to ``position`` and ``until``."""
    return replace(all_before(until, margin), since=position.cluster_time.seconds - margin)


def all_before(until: Position, margin: float) -> Gap:
    """Everything the jobs tell of the time before ``until``."""
    return Gap(None, until.cluster_time.seconds + 1 + margin, until)


def moment_of(transition: Transition) -> float:
    """When a transition happened, by its writer's clock; Unix seconds."""
    return datetime.fromisoformat(transition.time).timestamp()
