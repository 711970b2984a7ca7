"""``run --until now``: as cron and tests run it, against real servers."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import replace

import pytest

from bridge.demo.servers.process import free_port
from tests.e2e.conftest import MakeScenario
from tests.support.backlog import load as write_backlog
from tests.support.bridge_process import COMMAND, BridgeProcess
from tests.support.delivery_case import (
    AT_LEAST_ONCE_KAFKA_PYTHON,
    AT_LEAST_ONCE_LIBRDKAFKA,
    EXACTLY_ONCE,
    FIRE_AND_FORGET,
    ONE_DELIVERY,
    OWN_TAGS,
    SYNCHRONOUS,
    TAGS,
    delivery_cases,
)
from tests.support.fault_scenario import FORTY_JOBS, FaultScenario
from tests.support.servers.mongo import MongoDeployment
from tests.support.small_oplog import roll_past

#: Each run ends in the same way, however many jobs it finds.
TEN_JOBS = replace(FORTY_JOBS, jobs=10)
UNTIL_NOW = (*COMMAND, "--until", "now")
USAGE, TEMPORARY, FENCED = 64, 75, 76
#: Far below the deadline of a bridge that waits for the other one.
AT_ONCE_SECONDS = 30.0


def run_until_now(bridge: BridgeProcess) -> list[str]:
    """Run it to its end, which must be a success; return the log of this life."""
    ended = bridge.start(UNTIL_NOW).wait_for_end()
    assert ended.code == 0, ended.err
    return bridge.messages()


@delivery_cases(
    AT_LEAST_ONCE_KAFKA_PYTHON,
    AT_LEAST_ONCE_LIBRDKAFKA,
    SYNCHRONOUS,
    FIRE_AND_FORGET,
    OWN_TAGS,
    EXACTLY_ONCE,
)
def test_each_run_delivers_and_ends(scenario: FaultScenario) -> None:
    """The first run finds nothing and stores the position; so does one on an idle collection."""
    bridge = scenario.bridge()
    run_until_now(bridge)

    for _ in range(2):
        scenario.run_jobs(TEN_JOBS)
        messages = run_until_now(bridge)
        scenario.witness.catch_up()
        assert len(scenario.arrived()) == len(scenario.witness.transitions)
    run_until_now(bridge)

    assert messages[-1] == "stopped: clean"
    scenario.judge().check(repeated_at_most=0, at_least=2 * 10)


@ONE_DELIVERY
def test_a_busy_collection_ends_too(scenario: FaultScenario) -> None:
    bridge = scenario.bridge()
    run_until_now(bridge)
    with scenario.load() as load:
        load.await_commits(200)
        before = {commit.trans_id for commit in scenario.acknowledged}
        run_until_now(bridge)
        assert before <= scenario.arrived()
        load.await_commits(20)

    run_until_now(bridge)
    scenario.judge().check(repeated_at_most=0, at_least=220)


@ONE_DELIVERY
def test_a_forgotten_gap_comes_first(
    make_scenario: MakeScenario, forgetful: MongoDeployment
) -> None:
    scenario = make_scenario(forgetful)
    bridge = scenario.bridge()
    run_until_now(bridge)
    scenario.run_jobs(FORTY_JOBS)
    scenario.witness.catch_up()
    roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])

    messages = run_until_now(bridge)

    assert any("Nothing is skipped" in text for text in messages)
    scenario.judge().check(repeated_at_most=0, at_least=80)


@ONE_DELIVERY
def test_it_waits_while_kafka_is_unreachable(scenario: FaultScenario) -> None:
    bridge = scenario.bridge()
    run_until_now(bridge)
    scenario.run_jobs(FORTY_JOBS)
    with scenario.kafka_down():
        bridge.start(UNTIL_NOW).wait_unready("Kafka")

    assert bridge.wait_for_end().code == 0
    scenario.judge().check(repeated_at_most=0, at_least=80)


@ONE_DELIVERY
def test_a_running_owner_ends_it_at_once(scenario: FaultScenario) -> None:
    """With the same settings file, so with the same address."""
    port = str(free_port())
    owner = scenario.bridge(http__port=port).start().wait_ready()
    started = time.monotonic()

    ended = scenario.bridge(http__port=port).start(UNTIL_NOW).wait_for_end()

    assert ended.code == FENCED
    assert f"process {owner.pid}" in ended.err and "the owner delivers" in ended.err
    assert time.monotonic() - started < AT_ONCE_SECONDS
    assert owner.ready()


@ONE_DELIVERY
def test_it_delivers_without_its_address(scenario: FaultScenario) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        bridge = scenario.bridge(http__port=str(other.getsockname()[1]))
        run_until_now(bridge)
        scenario.run_jobs(TEN_JOBS)
        run_until_now(bridge)

    assert bridge.has_logged("Address already in use")
    scenario.judge().check(repeated_at_most=0, at_least=10)


@delivery_cases(FIRE_AND_FORGET)
def test_a_loss_is_the_exit_code(scenario: FaultScenario) -> None:
    """Nothing sends the lost messages again, and a cron job has no metrics to look at."""
    bridge = scenario.bridge(delivery__window_messages="1").start().wait_ready()
    assert bridge.stop() == 0
    write_backlog(scenario.mongo.uri, scenario.database, 30, 10)

    ended = bridge.start(UNTIL_NOW).wait_for_end()

    lost = re.search(r"stopped: (\d+) messages lost", ended.err)
    assert ended.code == TEMPORARY and lost, ended.err
    assert scenario.count() + int(lost[1]) == 30 * 10


@pytest.mark.parametrize("delivery_case", [TAGS], indirect=True, ids=str)
def test_a_mode_without_position_refuses(scenario: FaultScenario) -> None:
    ended = scenario.bridge().start(UNTIL_NOW).wait_for_end()

    assert ended.code == USAGE
    assert "job-bridge sweep --once" in ended.err
