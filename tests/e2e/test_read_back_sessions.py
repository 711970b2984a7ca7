"""The topic is read back after a failed producer, a take-over, and in a recovery."""

from __future__ import annotations

import signal

import pytest

from bridge.demo.servers.process import poll
from tests.e2e.conftest import MakeScenario
from tests.support import giving_up_kafka
from tests.support.delivery_case import (
    AT_LEAST_ONCE_KAFKA_PYTHON,
    AT_LEAST_ONCE_LIBRDKAFKA,
    FIRE_AND_FORGET,
    ONE_DELIVERY,
    OWN_TAGS,
    SYNCHRONOUS,
    delivery_cases,
)
from tests.support.fault_scenario import BUSY, FORTY_JOBS, FaultScenario
from tests.support.kill_points import command
from tests.support.read_back import (
    LEFT_OUT,
    LeftOut,
    kill,
    stop_and_judge,
)
from tests.support.servers.mongo import MongoDeployment
from tests.support.small_oplog import roll_past

BOTH_DRIVERS = delivery_cases(AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA)
EVERY_POSITION_KEPT = delivery_cases(
    AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA, SYNCHRONOUS, FIRE_AND_FORGET, OWN_TAGS
)


@BOTH_DRIVERS
def test_a_failed_producer_repeats_nothing(scenario: FaultScenario) -> None:
    """The broker has appended its messages, and the answers did not arrive."""
    with scenario.kafka.proxy() as proxy:
        bridge = scenario.bridge(kafka__bootstrap_servers=proxy.address)
        bridge.start(giving_up_kafka.COMMAND).wait_ready()
        with scenario.load() as load:
            load.await_commits(100)
            before = scenario.count()
            proxy.withhold_answers()
            poll(lambda: bridge.restarts().get("kafka", 0) > 0, "a failed producer")
            proxy.reset()
            proxy.pass_through()
            bridge.wait_ready()
            load.await_commits(100)
        scenario.wait_for_arrival()
        left_out, pid = bridge.metric(LEFT_OUT), bridge.pid
        assert proxy.counts.held > 0 and scenario.count() > before

        verdict = scenario.finish(bridge)

    assert bridge.pid == pid
    verdict.check(repeated_at_most=0, at_least=200)
    assert left_out > 0, "no message was appended without an answer"


@EVERY_POSITION_KEPT
def test_a_take_over_repeats_nothing(scenario: FaultScenario) -> None:
    """The owner was killed; the standby was there."""
    left_out = LeftOut()
    first = scenario.bridge().start().wait_ready()
    second = scenario.bridge().start().wait_unready("standby: ")
    with scenario.load() as load:
        load.await_commits(100)
        await_messages_after_a_save(scenario)
        kill(first)
        second.wait_ready()
        load.await_commits(100)
    stop_and_judge(scenario, second, left_out)


def await_messages_after_a_save(scenario: FaultScenario) -> None:
    """Wait until the topic has messages that the stored position does not cover."""
    before = scenario.checkpoint()
    poll(lambda: scenario.checkpoint() != before, "a stored position")
    count = scenario.count()
    poll(lambda: scenario.count() > count, "a later message")


@pytest.fixture
def small_oplog(make_scenario: MakeScenario, forgetful: MongoDeployment) -> FaultScenario:
    """A scenario on a node that forgets."""
    return make_scenario(forgetful)


@ONE_DELIVERY
@pytest.mark.parametrize("killed", [True, False], ids=["killed", "stopped"])
def test_a_recovery_repeats_nothing(small_oplog: FaultScenario, killed: bool) -> None:
    """With the default margin of an hour, everything delivered is within it."""
    scenario, left_out = small_oplog, LeftOut()
    bridge = scenario.bridge().start().wait_ready()
    scenario.run_jobs(FORTY_JOBS)
    scenario.wait_for_arrival()
    before = scenario.count()
    if killed:
        kill(bridge)
    else:
        assert bridge.stop() == 0
    scenario.run_jobs(FORTY_JOBS)
    scenario.witness.catch_up()
    roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])

    bridge.start()
    with scenario.load() as load:  # jobs continue while the gap is read
        load.await_commits(200)
    scenario.wait_for_arrival()
    left_out.note(bridge)

    verdict = scenario.finish(bridge)
    assert bridge.has_logged("The oplog no longer reaches back to the checkpoint")
    assert scenario.origins()["recovery"] >= 2 * 40
    verdict.check(repeated_at_most=0, at_least=4 * 40)
    assert left_out.total >= before


@ONE_DELIVERY
def test_a_killed_recovery_repeats_nothing(small_oplog: FaultScenario) -> None:
    scenario, left_out = small_oplog, LeftOut()
    bridge = scenario.bridge(delivery__window_messages="100").start().wait_ready()
    scenario.run_jobs(FORTY_JOBS)
    scenario.wait_for_arrival()
    assert bridge.stop() == 0
    before = scenario.count()
    for _ in range(5):
        scenario.run_jobs(FORTY_JOBS)
    roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])
    # There are more than 20 calls, because a call settles a window at most.
    for _ in range(3):
        bridge.start(command("after-ack", 10))
        assert bridge.wait() == -signal.SIGKILL
    scenario.witness.catch_up()
    assert before < scenario.count() < len(scenario.witness.transitions)
    bridge.start().wait_ready()
    scenario.wait_for_arrival()
    left_out.note(bridge)

    verdict = scenario.finish(bridge)

    verdict.check(repeated_at_most=0, at_least=6 * 80)
    assert before < len(verdict.arrived) and left_out.total > 0


@ONE_DELIVERY
def test_a_writer_with_a_late_clock_is_recovered(small_oplog: FaultScenario) -> None:
    """Its clock is half an hour late, which the default margin covers."""
    scenario = small_oplog
    bridge = scenario.bridge().start().wait_ready()
    scenario.run_jobs(FORTY_JOBS)
    scenario.wait_for_arrival()
    assert bridge.stop() == 0
    late = scenario.jobs().add_past("created", "complete", ago=1800.0)
    scenario.witness.catch_up()
    roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])

    bridge.start()

    poll(
        lambda: scenario.published_states(late["id"]) == ["created", "complete"], "the late job", 60
    )
    scenario.finish(bridge).check(repeated_at_most=0, at_least=2 * 40)


@ONE_DELIVERY
def test_without_read_back_a_recovery_repeats_a_minute(small_oplog: FaultScenario) -> None:
    scenario = small_oplog
    bridge = scenario.bridge(kafka__read_back="off").start().wait_ready()
    scenario.run_jobs(FORTY_JOBS)
    scenario.wait_for_arrival()
    assert bridge.stop() == 0
    roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])
    bridge.start().wait_ready()
    rate = BUSY.rate or 0

    verdict = scenario.finish(bridge)

    verdict.check(repeated_at_most=int(60 * rate), at_least=80)
    assert verdict.repeated > 0
