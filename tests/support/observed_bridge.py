"""A bridge as the status sees it, with values that tests set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bridge.clock import Clock
from bridge.model.checkpoint import Checkpoint
from bridge.model.position import Position
from bridge.model.window import Window
from bridge.observability.counters import Counters
from bridge.observability.recent import RecentDeliveries
from bridge.observability.snapshot import HealthState
from bridge.observability.status import LatestVerification, Recovery, Status


@dataclass
class NamedStore:
    """A store of which only the name is of interest."""

    name: str = "bridge"


@dataclass
class ObservedBridge:
    """See :class:`bridge.observability.status.Observed`."""

    state: str = "running"
    looping: bool = True
    is_standby: bool = False
    reason: str = ""
    paused_since: float | None = None
    streams: bool = True
    #: Just now by a new ``FakeClock``.
    last_beat: float = 1000.0
    start: Position | None = None
    reached: Position | None = None
    position: Position | None = None
    stored: Checkpoint | None = None
    in_flight: Window | None = None
    recovery: Recovery | None = None
    store: NamedStore = field(default_factory=NamedStore)
    counters: Counters = field(default_factory=Counters)
    recent: RecentDeliveries = field(default_factory=RecentDeliveries)
    warning: str = ""

    def complaint(self) -> str:
        return self.warning


@dataclass
class FixedHealth:
    """See :class:`bridge.observability.status.Health`; tests replace the answers."""

    answers: HealthState = field(default_factory=HealthState)

    def state(self) -> HealthState:
        return self.answers

    def report(self, **answers: Any) -> None:
        """Replace some of the answers."""
        self.answers = self.answers._replace(**answers)


def status_of(bridge: ObservedBridge, clock: Clock, health: FixedHealth | None = None) -> Status:
    """Return the status of ``bridge``."""
    return Status(
        bridge,
        health or FixedHealth(),
        clock,
        about={"namespace": "db.jobs"},
        verification=LatestVerification(),
    )
