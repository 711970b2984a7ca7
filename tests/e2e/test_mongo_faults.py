"""MongoDB steps down, crashes, is unreachable, or its connection goes silent."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from bridge.demo.servers.process import poll
from tests.e2e.conftest import MakeScenario, StartMongo
from tests.support.delivery_case import AT_LEAST_ONCE_LIBRDKAFKA, EVERY_MODE, ONE_DELIVERY
from tests.support.fault_scenario import WAITING, FaultScenario
from tests.support.read_back import LEFT_OUT
from tests.support.servers.mongo import MongoDeployment
from tests.support.servers.proxy import TcpProxy

#: Longer than the lease and than a client searches for a server; once, and shorter otherwise.
AWAY_SECONDS, SHORTLY_AWAY_SECONDS = 40.0, 12.0
TRY_AGAIN = 75
#: A read may be silent for 11 s, a renewal of the checkpoint for 5; the rest is for a busy machine.
NOTICE_SECONDS = 40.0
#: Messages of a few seconds, whose tags could not be cleared.
UNTAGGED = 600


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDeployment]:
    with MongoDeployment(tmp_path_factory.mktemp("three"), nodes=3) as server:
        yield server


@pytest.fixture
def lone(start_mongo: StartMongo) -> MongoDeployment:
    return start_mongo()


@EVERY_MODE
def test_a_step_down_repeats_nothing(make_scenario: MakeScenario, three: MongoDeployment) -> None:
    scenario = make_scenario(three)
    bridge = scenario.bridge().start().wait_ready()
    before = three.primary_index()
    with scenario.load() as load:
        load.await_commits(200)
        three.step_down()
        load.await_commits(300)

    assert three.primary_index() != before
    scenario.finish(bridge).check(
        repeated_at_most=0, at_least=500, saves_at_least=2, untagged_at_most=UNTAGGED
    )


@EVERY_MODE
def test_a_primary_that_crashes_repeats_nothing(
    make_scenario: MakeScenario, three: MongoDeployment
) -> None:
    scenario = make_scenario(three)
    bridge = scenario.bridge().start().wait_ready()
    before = three.primary_index()
    with scenario.load() as load:
        load.await_commits(200)
        three.kill(before)
        load.await_commits(300)
        three.start_node(before)

    assert set(bridge.restarts()) == {"mongodb"}
    scenario.finish(bridge).check(
        repeated_at_most=0, at_least=500, saves_at_least=2, untagged_at_most=UNTAGGED
    )


@EVERY_MODE
def test_mongodb_away_for_long_repeats_nothing(
    lone: MongoDeployment, make_scenario: MakeScenario
) -> None:
    scenario = make_scenario(lone)
    bridge = scenario.bridge().start().wait_ready()
    with scenario.load() as load:
        load.await_commits(200)
        pid, back = (
            bridge.pid,
            time.monotonic()
            + (
                AWAY_SECONDS
                if scenario.delivery == AT_LEAST_ONCE_LIBRDKAFKA
                else SHORTLY_AWAY_SECONDS
            ),
        )
        lone.kill()
        while time.monotonic() < back:
            bridge.wait_unready("MongoDB")
            time.sleep(1)
        lone.start_node()
        bridge.wait_ready()
        load.await_commits(100)

    assert bridge.pid == pid
    assert set(bridge.restarts()) == {"mongodb"}
    scenario.finish(bridge).check(repeated_at_most=0, at_least=300, untagged_at_most=UNTAGGED)


@ONE_DELIVERY
def test_a_stop_without_mongodb_is_not_clean(
    lone: MongoDeployment, make_scenario: MakeScenario
) -> None:
    scenario = make_scenario(lone)
    bridge = scenario.bridge(checkpoint__interval_seconds="600").start().wait_ready()
    with scenario.load() as load:
        load.await_commits(100)
    scenario.wait_for_arrival()
    lone.kill()
    assert bridge.stop() == TRY_AGAIN
    assert "stopped without storing the position" in bridge.log_tail()
    lone.start_node()
    bridge.start().wait_ready()
    with scenario.load() as load:
        load.await_commits(50)
    scenario.wait_for_arrival()
    left_out = bridge.metric(LEFT_OUT)

    scenario.finish(bridge).check(repeated_at_most=0, at_least=100, saves_at_least=1)
    assert left_out > 0


def test_a_stop_with_unacknowledged_messages_is_not_clean(
    lone: MongoDeployment, make_scenario: MakeScenario
) -> None:
    """MongoDB has ended the run before, so the messages are those of an ended run."""
    scenario = make_scenario(lone)
    bridge = scenario.bridge(delivery__drain_seconds="1").start().wait_ready()
    with scenario.load() as load:
        load.await_commits(100)
        with scenario.kafka_paused():
            poll(
                lambda: bridge.metric("job_bridge_in_flight_messages") >= WAITING,
                "messages that wait for Kafka",
            )
            lone.kill()
            bridge.wait_unready("MongoDB")
            assert bridge.stop() == TRY_AGAIN
        lone.start_node()
        load.await_commits(50)

    assert "that Kafka did not acknowledge" in bridge.log_tail()
    verdict = scenario.finish(bridge.start().wait_ready())
    verdict.check(repeated_at_most=0, at_least=150)


@EVERY_MODE
def test_a_silent_connection_is_given_up_and_restored(scenario: FaultScenario) -> None:
    with TcpProxy(scenario.mongo.ports[0]) as proxy:
        uri = f"mongodb://{proxy.address}/?directConnection=true"
        bridge = scenario.bridge(mongo__uri=uri).start().wait_ready()
        with scenario.load() as load:
            load.await_commits(200)
            proxy.silence()
            bridge.wait_unready("MongoDB", NOTICE_SECONDS)
            bridge.wait_for(lambda: bool(bridge.restarts()), "a session that gave up")
            assert set(bridge.restarts()) == {"mongodb"}
            proxy.pass_through()
            bridge.wait_ready()
            load.await_commits(100)

        assert proxy.counts.held > 0
        scenario.finish(bridge).check(repeated_at_most=0, at_least=300, untagged_at_most=UNTAGGED)
