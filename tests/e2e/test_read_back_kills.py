"""SIGKILL under load: what the topic has already is left out, so nothing is repeated."""

from __future__ import annotations

import random
import time

import pytest

from tests.support.backlog import load as write_backlog
from tests.support.delivery_case import (
    AT_LEAST_ONCE_KAFKA_PYTHON,
    AT_LEAST_ONCE_LIBRDKAFKA,
    FIRE_AND_FORGET,
    ONE_DELIVERY,
    OWN_TAGS,
    SYNCHRONOUS,
    delivery_cases,
)
from tests.support.fault_scenario import FaultScenario
from tests.support.job_writer import GOOD
from tests.support.read_back import (
    NEVER,
    LeftOut,
    crash,
    kill,
    settle,
    stop_and_judge,
    topic_contents,
    wait_for_all,
)
from tests.support.simulator import Workload

#: Enough for fifty kills on a busy machine.
pytestmark = pytest.mark.timeout(900)
STEADY = Workload(rate=200, concurrency=32, error_share=0.4, writes="both")
#: Kills of a short run, and of the run for which ``FAULT_REPEATS`` asks.
FEW, MANY = 6, 50
BACKLOG_JOBS, BACKLOG_TRANSITIONS = 800, 5


@delivery_cases(AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA)
def test_kills_under_load_repeat_nothing(scenario: FaultScenario, kills: int) -> None:
    bridge, left_out = scenario.bridge().start().wait_ready(), LeftOut()
    with scenario.load(STEADY) as load:
        for _ in range(FEW if kills == 1 else MANY):
            load.await_commits(20)
            time.sleep(random.uniform(0.3, 1.3))  # the fault itself is one of chance
            kill(bridge, left_out)
            bridge.start().wait_ready()
        load.await_commits(100)
    scenario.wait_for_arrival()
    left_out.note(bridge)

    verdict = scenario.finish(bridge)

    verdict.check(repeated_at_most=0, at_least=500, saves_at_least=3)
    assert left_out.total > 0, "no kill left messages after the stored position"


@delivery_cases(FIRE_AND_FORGET, SYNCHRONOUS, OWN_TAGS)
def test_other_modes_repeat_nothing_when_killed(scenario: FaultScenario, kills: int) -> None:
    """Messages of fire-and-forget may be lost by a kill."""
    bridge, left_out = scenario.bridge().start().wait_ready(), LeftOut()
    with scenario.load(STEADY) as load:
        for _ in range(2 if kills == 1 else MANY):
            load.await_commits(60)
            kill(bridge, left_out)
            bridge.start().wait_ready()
        load.await_commits(60)
    stop_and_judge(scenario, bridge, left_out)


@delivery_cases(AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA)
def test_kills_during_a_backlog_repeat_nothing(scenario: FaultScenario, kills: int) -> None:
    bridge, left_out = scenario.bridge().start().wait_ready(), LeftOut()
    assert bridge.stop() == 0
    rounds = 2 if kills == 1 else 10
    total = 0
    for _ in range(rounds):
        total += write_backlog(
            scenario.mongo.uri, scenario.database, BACKLOG_JOBS, BACKLOG_TRANSITIONS
        )
        bridge.start().wait_acked(random.randint(1, BACKLOG_JOBS))
        kill(bridge, left_out)
    bridge.start()
    wait_for_all(scenario)
    left_out.note(bridge)
    assert bridge.stop() == 0

    topic_contents(scenario).check(at_least=total)
    assert left_out.total > 0, "no kill left messages after the stored position"


@delivery_cases(AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA)
def test_a_kill_after_a_clean_start_repeats_nothing(scenario: FaultScenario) -> None:
    """The stored checkpoint is still that of the clean stop when the process dies."""
    bridge, left_out = crash(scenario), LeftOut()
    bridge.start()

    found = settle(scenario, bridge, left_out)

    found.check(at_least=3 * len(GOOD))
    assert left_out.total == len(GOOD)


@ONE_DELIVERY
def test_a_kill_during_the_first_start_repeats_nothing(scenario: FaultScenario) -> None:
    """No acknowledged offset is stored yet."""
    bridge, left_out = scenario.bridge(checkpoint__interval_seconds=NEVER), LeftOut()
    bridge.start().wait_ready()
    scenario.jobs().add_good()
    bridge.wait_acked(len(GOOD))
    kill(bridge)
    bridge.start()

    found = settle(scenario, bridge, left_out)

    found.check(at_least=2 * len(GOOD))
    assert left_out.total == len(GOOD)


@ONE_DELIVERY
def test_kills_in_a_row_repeat_nothing(scenario: FaultScenario) -> None:
    """Each life dies before it has stored a position, also while it leaves messages out."""
    bridge, left_out = crash(scenario), LeftOut()
    for _ in range(3):
        bridge.start()
        scenario.jobs().add_good()
        bridge.wait_acked(len(GOOD))
        kill(bridge)
    bridge.start()

    found = settle(scenario, bridge, left_out)

    found.check(at_least=6 * len(GOOD))
    assert left_out.total == 4 * len(GOOD)


@ONE_DELIVERY
def test_a_clean_stop_reads_nothing_back(scenario: FaultScenario) -> None:
    bridge, left_out = scenario.bridge().start().wait_ready(), LeftOut()
    scenario.jobs().add_good()
    bridge.wait_acked(len(GOOD))
    assert bridge.stop() == 0
    bridge.start()

    found = settle(scenario, bridge, left_out)

    found.check(at_least=2 * len(GOOD))
    assert left_out.total == 0
    assert not [line for line in bridge.messages() if "read the topic" in line]


@ONE_DELIVERY
def test_without_read_back_a_kill_repeats(scenario: FaultScenario) -> None:
    bridge, left_out = crash(scenario, kafka__read_back="off"), LeftOut()
    bridge.start()

    found = settle(scenario, bridge, left_out)

    found.check(repeated_at_most=len(GOOD), at_least=3 * len(GOOD))
    assert (found.repeated, left_out.total) == (len(GOOD), 0)
