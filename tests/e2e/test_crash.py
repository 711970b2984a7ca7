"""SIGKILL and SIGTERM at any moment."""

from __future__ import annotations

import random
import signal
import time

import pytest

from bridge.demo.servers.process import poll
from tests.support.delivery_case import EVERY_DELIVERY
from tests.support.fault_scenario import WAITING, FaultScenario
from tests.support.simulator import Workload

#: Beyond the drain and the last store, for a busy machine.
SLACK_SECONDS = 20
#: Enough for twenty kills on a busy machine.
pytestmark = pytest.mark.timeout(900)


@EVERY_DELIVERY
def test_repeated_kills_lose_nothing(scenario: FaultScenario, kills: int) -> None:
    bridge = scenario.bridge().start().wait_ready()
    with scenario.load() as load:
        for _ in range(kills + 2):
            time.sleep(random.uniform(0.5, 2))  # the fault itself is one of chance
            assert bridge.kill() == -signal.SIGKILL
            bridge.start().wait_ready()
        load.await_commits(300)

    verdict = scenario.finish(bridge)

    # A mode that stores no position does not read the topic back.
    allowed = 0 if scenario.delivery.positions else verdict.replay(bridge.deaths)
    verdict.check(repeated_at_most=allowed, at_least=300, saves_at_least=3)


@EVERY_DELIVERY
def test_a_stop_during_a_burst_repeats_nothing(scenario: FaultScenario) -> None:
    bridge = scenario.bridge().start().wait_ready()
    with scenario.load(Workload(rate=None, concurrency=32, error_share=0.4, writes="both")) as load:
        load.await_commits(500)
        assert bridge.stop() == 0
        load.await_commits(200)
        bridge.start()
        load.await_commits(200)

    scenario.finish(bridge).check(repeated_at_most=0, at_least=900)


def test_a_stop_without_kafka_asks_for_a_restart(scenario: FaultScenario) -> None:
    bridge = scenario.bridge(delivery__drain_seconds="2").start().wait_ready()
    with scenario.load() as load:
        load.await_commits(200)
        with scenario.kafka_down():
            poll(
                lambda: bridge.metric("job_bridge_in_flight_messages") >= WAITING,
                "messages that wait for Kafka",
            )
            assert bridge.stop(seconds=2 + 8 + SLACK_SECONDS) == 75
        bridge.start().wait_ready()
        load.await_commits(100)

    verdict = scenario.finish(bridge)

    assert bridge.has_logged("messages that Kafka did not acknowledge")
    # The broker may have appended messages that it did not acknowledge: they are left out.
    verdict.check(repeated_at_most=0, at_least=300)
