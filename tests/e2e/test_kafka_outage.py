"""Kafka away for half a minute."""

from __future__ import annotations

import pytest

from bridge.demo.servers.process import poll
from tests.support.delivery_case import AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA, TAGS
from tests.support.fault_scenario import FaultScenario

OUTAGE_SECONDS = 30.0
#: More than the client's buffers and the interpreter's arenas may move.
NOISE_BYTES = 24 * 2**20
WINDOW = 500


@pytest.mark.parametrize(
    "way", [AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA, TAGS], indirect=True, ids=str
)
def test_a_broker_killed_for_half_a_minute_costs_nothing_but_time(scenario: FaultScenario) -> None:
    bridge = scenario.bridge(delivery__window_messages=str(WINDOW)).start().wait_ready()
    with scenario.load() as load:
        load.await_commits(WINDOW)
        pid, before = bridge.pid, bridge.resident_bytes()
        with scenario.kafka_down():
            poll(lambda: bridge.metric("job_bridge_in_flight_messages") >= WINDOW, "a full window")
            bridge.wait_unready("Kafka has acknowledged nothing", OUTAGE_SECONDS + 15)
            grown, waiting = (
                bridge.resident_bytes() - before,
                bridge.metric("job_bridge_in_flight_messages"),
            )
        bridge.wait_ready()
        load.await_commits(100)
    (again,) = (
        line["message"] for line in bridge.all_lines() if "acknowledges again" in line["message"]
    )

    assert (bridge.pid, bridge.restarts()) == (pid, {})
    assert waiting == WINDOW
    assert grown < NOISE_BYTES
    assert float(again.split()[-2]) > OUTAGE_SECONDS, again
    scenario.finish(bridge).check(repeated_at_most=0, at_least=2 * WINDOW)
