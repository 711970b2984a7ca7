"""Kafka away for half a minute."""

from __future__ import annotations

import pytest

from bridge.demo.servers.process import poll
from tests.support.delivery_cases import AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA, TAGS
from tests.support.fault_scenario import Bench

OUTAGE_SECONDS = 30.0
#: More than the client's buffers and the interpreter's arenas may move.
NOISE_BYTES = 24 * 2**20
WINDOW = 500


@pytest.mark.parametrize(
    "way", [AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA, TAGS], indirect=True, ids=str
)
def test_a_broker_killed_for_half_a_minute_costs_nothing_but_time(bench: Bench) -> None:
    bridge = bench.bridge(DELIVERY_WINDOW_MESSAGES=str(WINDOW)).start().wait_ready()
    with bench.load() as load:
        load.await_commits(WINDOW)
        pid, before = bridge.pid, bridge.resident_bytes()
        with bench.kafka_away():
            poll(lambda: bridge.metric("job_bridge_in_flight_messages") >= WINDOW, "a full window")
            bridge.wait_unready("Kafka has not acknowledged anything", OUTAGE_SECONDS + 15)
            grown, waiting = (
                bridge.resident_bytes() - before,
                bridge.metric("job_bridge_in_flight_messages"),
            )
        bridge.wait_ready()
        load.await_commits(100)
    (again,) = (line["message"] for line in bridge.log() if "acknowledges again" in line["message"])

    assert (bridge.pid, bridge.restarts()) == (pid, {})
    assert waiting == WINDOW
    assert grown < NOISE_BYTES
    assert float(again.split()[-2]) > OUTAGE_SECONDS, again
    bench.finish(bridge).check(repeated_at_most=0, at_least=2 * WINDOW)
