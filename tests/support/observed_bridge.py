"""A bridge as the status sees it, with values that tests set."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.clock import Clock
from bridge.model.checkpoint import Checkpoint
from bridge.model.position import ClusterTime, Position
from bridge.model.window import Window
from bridge.observability.counters import Counters
from bridge.observability.status import LatestVerification, Recovery, Status


@dataclass
class ObservedBridge:
    """See :class:`bridge.observability.status.Observed`."""

    state: str = "running"
    looping: bool = True
    reason: str = ""
    streams: bool = True
    last_beat: float = 0.0
    start: Position | None = None
    position: Position | None = None
    stored: Checkpoint | None = None
    in_flight: Window | None = None
    recovery: Recovery | None = None
    counters: Counters = field(default_factory=Counters)
    warning: str = ""

    def complaint(self) -> str:
        return self.warning


@dataclass
class FakeOplog:
    """See :class:`bridge.observability.status.Oplog`; ``asked`` counts the questions."""

    newest: ClusterTime | None = None
    oldest: ClusterTime | None = None
    asked: int = 0

    def last_write(self) -> ClusterTime | None:
        self.asked += 1
        return self.newest

    def oldest_oplog_entry(self) -> ClusterTime | None:
        self.asked += 1
        return self.oldest


def status_of(bridge: ObservedBridge, clock: Clock, oplog: FakeOplog | None = None) -> Status:
    """Return the status of ``bridge``."""
    return Status(
        bridge,
        oplog or FakeOplog(),
        clock,
        about={"name": "bridge", "namespace": "db.jobs"},
        verification=LatestVerification(),
    )
