"""Take-over by Kafka's consumer group: in time, and with nothing lost, repeated or out of order."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_case import (
    AT_LEAST_ONCE_IN_KAFKA,
    EXACTLY_ONCE,
    KAFKA_POSITION,
    delivery_cases,
)
from tests.support.fault_scenario import FaultScenario
from tests.support.long_faults import LONG, REPEATS
from tests.support.visible_run import VisibleRun

pytestmark = pytest.mark.timeout(900)
FENCED = 76
#: 'make faults' runs on a quiet machine; 'make test' shares two cores among its processes.
BUSY = 1 if REPEATS > 1 else 2
#: After SIGTERM of the owner.
HANDOVER_SECONDS = 2.0 * BUSY
#: The session timeout of a member, and the time for the rest.
SESSION_SECONDS, REST_SECONDS = 6.0, 2.0
#: After SIGSTOP, on a busy machine: no process of this host knows that the owner does not work.
FROZEN_SECONDS = 12.0
#: From the first line of the log until ready; it would wait for the session of its dead self.
OWN_START_SECONDS = 4.0 * BUSY


@pytest.fixture
def visible(scenario: FaultScenario) -> Iterator[VisibleRun]:
    with VisibleRun(scenario) as run:
        yield run


def start_standby(scenario: FaultScenario) -> BridgeProcess:
    return scenario.bridge().start().wait_unready("standby: ")


def take_over_seconds(standby: BridgeProcess, began: float) -> float:
    """How long the standby needed until it is ready, from ``began`` on."""
    standby.wait_ready()
    took = time.monotonic() - began
    print(f"took over within {took:.2f} s")
    return took


def start_seconds(bridge: BridgeProcess) -> float:
    """How long this life needed until it was ready, without the start of the interpreter."""
    began = str(bridge.lines()[0]["time"])
    ready = next(str(line["time"]) for line in bridge.lines() if line["message"] == "ready")
    return (datetime.fromisoformat(ready) - datetime.fromisoformat(began)).total_seconds()


@KAFKA_POSITION
def test_a_standby_takes_over_in_time(scenario: FaultScenario, visible: VisibleRun) -> None:
    """SIGTERM, then SIGKILL; and a process without a standby does not wait for itself."""
    first = scenario.bridge().start().wait_ready()
    second = start_standby(scenario)
    with scenario.load() as load:
        load.await_commits(100)
        began = time.monotonic()
        first.send_signal(signal.SIGTERM)
        handed_over = take_over_seconds(second, began)
        assert first.wait() == 0
        third = start_standby(scenario)
        load.await_commits(100)
        began = time.monotonic()
        assert second.kill() == -signal.SIGKILL
        taken_over = take_over_seconds(third, began)
        load.await_commits(50)
        assert third.kill() == -signal.SIGKILL
        third.start().wait_ready()
        load.await_commits(50)

    visible.finish(third)
    assert handed_over < HANDOVER_SECONDS
    assert taken_over < SESSION_SECONDS + REST_SECONDS
    assert start_seconds(third) < OWN_START_SECONDS


@delivery_cases(AT_LEAST_ONCE_IN_KAFKA)
def test_a_woken_owner_repeats_only_the_wire(scenario: FaultScenario) -> None:
    """Exactly-once: ``test_a_woken_owner_shows_nothing``."""
    first = scenario.bridge().start().wait_ready()
    second = start_standby(scenario)
    with scenario.load() as load:
        load.await_commits(200)
        first.pause()
        began = time.monotonic()
        taken_over = take_over_seconds(second, began)
        load.await_commits(100)
        scenario.wait_for_arrival()
        before = scenario.count()
        first.resume()
        assert first.wait() == FENCED, first.log_tail()
        # The load is under way: only messages of the frozen process may be repeated.
        late = scenario.count() - before
        load.await_commits(100)

    scenario.finish(second).check(repeated_at_most=late, at_least=400, saves_at_least=2)
    assert SESSION_SECONDS / 2 < taken_over < FROZEN_SECONDS


@LONG
@KAFKA_POSITION
def test_a_lonely_woken_owner_works_on(scenario: FaultScenario, visible: VisibleRun) -> None:
    """Its membership is lost, but no other bridge has taken the work."""
    bridge = scenario.bridge().start().wait_ready()
    with scenario.load() as load:
        load.await_commits(100)
        bridge.pause()
        time.sleep(SESSION_SECONDS + REST_SECONDS)  # the fault itself
        bridge.resume()
        load.await_commits(50)
        bridge.wait_ready()
        assert bridge.running

    visible.finish(bridge)


@LONG
@delivery_cases(EXACTLY_ONCE)
def test_owners_frozen_in_turn_show_nothing(
    scenario: FaultScenario, visible: VisibleRun, kills: int
) -> None:
    """Each time the standby takes over; the woken process ends and becomes the standby."""
    owner, standby = scenario.bridge().start().wait_ready(), start_standby(scenario)
    with scenario.load() as load:
        for _ in range(kills):
            load.await_commits(50)
            owner.pause()
            standby.wait_ready()
            owner.resume()
            assert owner.wait() == FENCED, owner.log_tail()
            owner, standby = standby, owner.start().wait_unready("standby: ")

    standby.kill()
    visible.finish(owner)
