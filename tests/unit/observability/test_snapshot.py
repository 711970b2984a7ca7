"""The snapshot: one moment of a bridge, which later changes do not reach."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from bridge.model.gap import Gap
from bridge.model.position import ClusterTime
from bridge.model.window import Delivery, Window
from bridge.observability.counters import Counters
from bridge.observability.snapshot import HealthState, InFlightState, OplogTimes, Snapshot, Verified
from bridge.observability.status import LatestVerification, Status
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.pulse import Pulse
from bridge.pipeline.recovery_progress import RecoveryProgress
from tests.support.factories import BASE, at, checkpoint
from tests.support.fakes import FakeClock
from tests.support.observed_bridge import FixedHealth, ObservedBridge, status_of


class BusyBridge:
    """A bridge with a value for everything that a snapshot contains."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.window = Window(at(0), 10, 100)
        self.window.admit(Delivery(at(1), 30, sent=self.clock.monotonic()))
        self.recovery = RecoveryProgress(
            Gap(None, at(9), 0.0), 10, PipelineContext(Pulse(self.clock))
        )
        self.bridge = ObservedBridge(
            start=at(0),
            position=at(1),
            stored=checkpoint(1),
            in_flight=self.window,
            recovery=self.recovery,
        )
        self.health = FixedHealth(
            HealthState(oplog=OplogTimes(ClusterTime(BASE + 10), ClusterTime(BASE - 10)))
        )
        self.verification = LatestVerification()
        self.status = Status(
            self.bridge,
            self.health,
            self.clock,
            about={"name": "bridge"},
            verification=self.verification,
        )


@pytest.mark.parametrize("name", [field.name for field in fields(Snapshot)])
def test_no_field_can_be_assigned(name: str) -> None:
    snapshot = BusyBridge().status.snapshot()

    with pytest.raises(FrozenInstanceError):
        setattr(snapshot, name, None)


def test_the_counters_are_copied() -> None:
    """Neither the bridge nor the holder of a snapshot changes the counts of the other."""
    bridge = ObservedBridge()
    live = bridge.counters
    snapshot = status_of(bridge, FakeClock()).snapshot()

    count_everything(live)

    assert values(snapshot.counters) == values(Counters())
    count_everything(snapshot.counters)
    count_everything(snapshot.counters)
    once = Counters()
    count_everything(once)
    assert values(live) == values(once)


def test_later_changes_do_not_reach_it() -> None:
    busy = BusyBridge()
    before = busy.status.snapshot()
    document = before.document()

    busy.clock.advance(5.0)
    busy.window.admit(Delivery(at(2), 12, sent=busy.clock.monotonic()))
    busy.recovery.read(7)
    busy.bridge.position = at(5)
    busy.bridge.stored = checkpoint(5)
    busy.bridge.state = "waiting"
    busy.bridge.streams = False
    busy.verification.result = Verified(1.0, 2, 3, 4, 5)
    count_everything(busy.bridge.counters)

    assert before.document() == document
    assert before.in_flight == InFlightState(1, 30, 0.0)
    after = busy.status.snapshot()
    assert after.in_flight == InFlightState(2, 42, 5.0)
    assert after.verified == Verified(1.0, 2, 3, 4, 5)
    assert after.recovery and after.recovery.done == 7


def count_everything(counters: Counters) -> None:
    for name, value in vars(counters).items():
        if isinstance(value, int | float):
            setattr(counters, name, value + 1)
    counters.skip("delete")
    counters.restarts["kafka"] += 1
    counters.acknowledge([0.0], 1.0)
    counters.transaction(3, 0.1)


def values(counters: Counters) -> dict[str, Any]:
    return dict(vars(counters))
