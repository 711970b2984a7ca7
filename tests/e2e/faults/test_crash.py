"""SIGKILL and SIGTERM at any moment."""

from __future__ import annotations

import random
import signal
import time

import pytest

from bridge.demo.servers.process import poll
from tests.support.delivery_cases import EVERY_WAY
from tests.support.fault_scenario import WAITING, Bench
from tests.support.simulator import Workload

#: Twenty repetitions on a busy machine.
pytestmark = pytest.mark.timeout(900)


@EVERY_WAY
def test_nothing_is_lost_when_it_is_killed_again_and_again(bench: Bench, repeats: int) -> None:
    bridge = bench.bridge().start().wait_ready()
    with bench.load() as load:
        for _ in range(repeats + 2):
            time.sleep(random.uniform(1, 3))  # the fault itself is one of chance
            assert bridge.kill() == -signal.SIGKILL
            bridge.start().wait_ready()
        load.await_commits(300)

    verdict = bench.finish(bridge)

    verdict.check(repeated_at_most=verdict.replay(bridge.deaths), at_least=300, saves_at_least=3)


@EVERY_WAY
def test_a_stop_in_the_middle_of_a_burst_repeats_nothing(bench: Bench) -> None:
    bridge = bench.bridge().start().wait_ready()
    with bench.load(Workload(rate=None, concurrency=32)) as load:
        load.await_commits(500)
        assert bridge.terminate() == 0
        load.await_commits(200)
        bridge.start()
        load.await_commits(200)

    bench.finish(bridge).check(repeated_at_most=0, at_least=900)


def test_a_stop_while_kafka_is_away_asks_to_be_started_again(bench: Bench) -> None:
    bridge = bench.bridge(DELIVERY_DRAIN_SECONDS="2").start().wait_ready()
    with bench.load() as load:
        load.await_commits(200)
        with bench.kafka_away() as away:
            poll(
                lambda: bridge.metric("job_bridge_in_flight_messages") >= WAITING,
                "messages that wait for Kafka",
            )
            assert bridge.terminate(seconds=2 + 8) == 75
        bridge.start().wait_ready()
        load.await_commits(100)

    verdict = bench.finish(bridge)

    assert bridge.said("messages that Kafka did not acknowledge")
    # What the broker took just before it died was not acknowledged any more.
    verdict.check(repeated_at_most=verdict.replay([away]), at_least=300)
