"""SIGUSR1 pauses a bridge, SIGUSR2 resumes it: against real servers, under load."""

from __future__ import annotations

import signal

import pytest

from bridge.demo.servers.process import free_port
from tests.e2e.conftest import MakeScenario
from tests.support.bridge_process import BridgeProcess
from tests.support.command import run_command
from tests.support.delivery_case import (
    AT_LEAST_ONCE_IN_KAFKA,
    AT_LEAST_ONCE_KAFKA_PYTHON,
    EXACTLY_ONCE,
    ONE_DELIVERY,
    SYNCHRONOUS,
    TAGS,
    delivery_cases,
)
from tests.support.fault_scenario import FORTY_JOBS, FaultScenario
from tests.support.servers.mongo import MongoDeployment
from tests.support.small_oplog import roll_past

NOT_READY = 75
#: Of a lease in MongoDB by default; a member's session in Kafka is shorter.
LEASE_SECONDS = 10.0


def pause(bridge: BridgeProcess) -> str:
    """Pause it; return the reason that ``/readyz`` gives."""
    bridge.send_signal(signal.SIGUSR1)
    return bridge.unready_reason("paused since")


def resume(bridge: BridgeProcess) -> None:
    bridge.send_signal(signal.SIGUSR2)
    bridge.wait_ready()


@delivery_cases(AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_IN_KAFKA, SYNCHRONOUS, EXACTLY_ONCE, TAGS)
def test_a_paused_bridge_sends_nothing(scenario: FaultScenario) -> None:
    """Under load, twice, and stays the owner; afterwards nothing is missing or repeated."""
    bridge = scenario.bridge().start().wait_ready()
    with scenario.load() as load:
        load.await_commits(50)
        for _ in range(2):
            pause(bridge)
            before = scenario.count()
            load.await_commits(50)
            assert scenario.count() == before
            assert bridge.status()["state"] == "paused"
            resume(bridge)
            load.await_commits(20)

    assert bridge.restarts() == {}
    scenario.finish(bridge).check(repeated_at_most=0, at_least=190)


@pytest.mark.parametrize(
    "delivery_case", [AT_LEAST_ONCE_KAFKA_PYTHON, EXACTLY_ONCE], indirect=True, ids=str
)
def test_a_paused_bridge_stays_the_owner(scenario: FaultScenario) -> None:
    """A standby waits for longer than the lease or the session of the group."""
    bridge = scenario.bridge().start().wait_ready()
    standby = scenario.bridge().start().wait_unready("standby: ")
    pause(bridge)
    end = bridge.metric("job_bridge_oplog_window_seconds") + LEASE_SECONDS + 2
    bridge.wait_for(lambda: _oplog_seconds(scenario, bridge) >= end, "the end of a lease")

    assert standby.status()["state"] == "standby"
    assert bridge.metric("job_bridge_owner") == bridge.metric("job_bridge_paused") == 1
    assert bridge.metric("job_bridge_oplog_headroom_seconds") >= 0
    resume(bridge)
    assert standby.stop() == 0
    scenario.run_jobs(FORTY_JOBS)
    scenario.finish(bridge).check(repeated_at_most=0, at_least=40)


def _oplog_seconds(scenario: FaultScenario, bridge: BridgeProcess) -> float:
    """Write elsewhere, so that the cluster time advances; return the oplog's length."""
    scenario.client["elsewhere"]["writes"].insert_one({})
    return bridge.metric("job_bridge_oplog_window_seconds")


@ONE_DELIVERY
def test_a_paused_bridge_is_reported_everywhere(scenario: FaultScenario) -> None:
    port = str(free_port())
    bridge = scenario.bridge(http__port=port).start().wait_ready()
    reason = pause(bridge).splitlines()[0]

    status = bridge.status()
    printed = run_command("status", settings={**scenario.settings(), "http.port": port})

    assert "SIGUSR2 resumes" in reason
    assert status["paused_since"] in reason and not status["ready"]
    assert status["checkpoint"] and status["ownership"]["is_us"]
    assert printed.code == NOT_READY
    assert f"paused, not ready: {reason}" in printed.out
    bridge.wait_for_line("Nothing is read or sent")
    resume(bridge)
    assert bridge.status()["paused_since"] is None
    assert bridge.metric("job_bridge_paused") == 0
    assert bridge.stop() == 0


@ONE_DELIVERY
def test_a_paused_bridge_stops_cleanly(scenario: FaultScenario) -> None:
    bridge = scenario.bridge().start().wait_ready()
    pause(bridge)
    scenario.run_jobs(FORTY_JOBS)

    assert bridge.stop() == 0
    assert bridge.has_logged("stopped: clean") and scenario.count() == 0

    bridge.start().wait_ready()
    scenario.finish(bridge).check(repeated_at_most=0, at_least=40)


@ONE_DELIVERY
def test_both_signals_at_once_deliver(scenario: FaultScenario) -> None:
    """Whether it runs or is paused; a stop among them stops it."""
    bridge = scenario.bridge().start().wait_ready()
    send_at_once(bridge, signal.SIGUSR1, signal.SIGUSR2)
    bridge.wait_for_line("a pause was requested")
    bridge.wait_ready()
    pause(bridge)
    send_at_once(bridge, signal.SIGUSR1, signal.SIGUSR2)
    bridge.wait_ready()
    scenario.run_jobs(FORTY_JOBS)
    scenario.wait_for_arrival()

    send_at_once(bridge, signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR2)

    assert bridge.wait() == 0
    assert bridge.has_logged("stopped: clean")
    scenario.judge().check(repeated_at_most=0, at_least=40)


def send_at_once(bridge: BridgeProcess, *numbers: signal.Signals) -> None:
    """Let all of them be pending when the process runs again."""
    bridge.pause()
    for number in numbers:
        bridge.send_signal(number)
    bridge.resume()


@ONE_DELIVERY
def test_an_oplog_that_ends_in_a_pause(
    make_scenario: MakeScenario, forgetful: MongoDeployment
) -> None:
    """The resume point is lost as in any outage, and the gap is recovered."""
    scenario = make_scenario(forgetful)
    bridge = scenario.bridge().start().wait_ready()
    pause(bridge)
    scenario.run_jobs(FORTY_JOBS)
    scenario.witness.catch_up()
    roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])

    resume(bridge)

    scenario.wait_for_arrival()
    assert bridge.status()["counters"]["history_lost"] == 1
    scenario.finish(bridge).check(repeated_at_most=0, at_least=40)
