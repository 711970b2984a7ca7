"""Kafka refuses all writes, for lack of in-sync replicas, longer than a client's own timeout."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping

import pytest

from bridge.demo.servers.process import poll
from tests.e2e.conftest import NewTopic
from tests.support import giving_up_kafka
from tests.support.bridge_process import COMMAND
from tests.support.fault_scenario import FORTY_JOBS, FaultScenario
from tests.support.oracle import Verdict
from tests.support.servers import kafka as apache
from tests.support.servers import second_broker

WINDOW = 300


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apache.Kafka]:
    """A broker of the module's own: the replicas of its lost second broker stay broken."""
    apache.required()
    with apache.Kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="module")
def topics(kafka: apache.Kafka, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Topics with two replicas, one of which is gone."""
    names = [f"test-{uuid.uuid4().hex[:12]}" for _ in range(4)]
    with second_broker.second_broker(kafka, tmp_path_factory.mktemp("replica") / "second"):
        for name in names:
            second_broker.create_topic(kafka, name, partitions=3)
            kafka.create_topic(f"{name}-dlq", partitions=1)
    poll(lambda: second_broker.alone(kafka, names), "the loss of a replica")
    return names


@pytest.fixture
def new_topic(topics: list[str]) -> NewTopic:
    return topics.pop


def test_long_refusals_cost_only_time(scenario: FaultScenario) -> None:
    restarts, verdict = refuse_for_a_while(scenario, COMMAND)

    assert not restarts
    verdict.check(repeated_at_most=0, at_least=WINDOW)


def test_a_client_that_gives_up_loses_nothing(
    scenario: FaultScenario,
) -> None:
    """With the client's own timeout the producer must be replaced, which repeats nothing."""
    restarts, verdict = refuse_for_a_while(scenario, giving_up_kafka.COMMAND)

    assert restarts.get("kafka", 0) > 0
    verdict.check(repeated_at_most=0, at_least=WINDOW)


def refuse_for_a_while(
    scenario: FaultScenario, command: tuple[str, ...]
) -> tuple[Mapping[str, int], Verdict]:
    """Let the broker answer NOT_ENOUGH_REPLICAS for longer than the short client timeout.

    The refusal starts between two loads: a broker refuses a message that it is just appending after
    the append (NOT_ENOUGH_REPLICAS_AFTER_APPEND), and a new producer would repeat that one.
    """
    bridge = scenario.bridge(delivery__window_messages=str(WINDOW)).start(command).wait_ready()
    scenario.run_jobs(FORTY_JOBS)
    scenario.wait_for_arrival()
    poll(lambda: bridge.metric("job_bridge_in_flight_messages") == 0, "all acknowledgements")
    scenario.kafka.alter_topic(scenario.topic, min_insync_replicas=2)
    refused = time.monotonic()
    with scenario.load() as load:
        poll(lambda: bridge.metric("job_bridge_in_flight_messages") >= WINDOW, "a full window")
        patience = giving_up_kafka.GIVE_UP_SECONDS + giving_up_kafka.REQUEST_SECONDS + 1
        poll(lambda: time.monotonic() > refused + patience, "the end of the client's patience")
        scenario.kafka.alter_topic(scenario.topic, min_insync_replicas=1)
        load.await_commits(100)
    scenario.wait_for_arrival()
    return bridge.restarts(), scenario.finish(bridge)
