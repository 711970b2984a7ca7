"""The objective is counted twice: by the bridge, and by ``verify`` from the broker's times."""

from __future__ import annotations

from bridge.demo.servers.process import poll
from tests.e2e.conftest import MakeBridge
from tests.support.bridge_process import BridgeProcess
from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import JobWriter
from tests.support.servers.kafka import Kafka
from tests.support.verification_results import verify

IN_TIME, LATE = 40, 40
#: Above the second of the objective.
OUTAGE_SECONDS = 2.0
#: Between a message's write and its acknowledgement the second may end, above all under load.
AT_THE_LIMIT = 8


def late(bridge: BridgeProcess) -> tuple[float, float]:
    """All transitions that the bridge has counted, and those that were late."""
    metrics = bridge.metrics()
    count = metrics["job_bridge_delivery_latency_seconds_count"]
    return count, count - metrics['job_bridge_delivery_latency_seconds_bucket{le="1.0"}']


def test_both_counts_of_late_transitions_agree(
    settings: GivenSettings, start: MakeBridge, jobs: JobWriter, kafka: Kafka
) -> None:
    kafka.alter_topic(settings["kafka.topic"], message_timestamp_type="LogAppendTime")
    with start() as bridge:
        bridge.wait_ready()
        for _ in range(IN_TIME):
            jobs.insert()
        bridge.wait_acked(IN_TIME)
        kafka.pause()
        for _ in range(LATE):
            jobs.insert()
        poll(lambda: bridge.metric("job_bridge_lag_seconds") > OUTAGE_SECONDS, "an outage")
        kafka.resume()
        bridge.wait_acked(IN_TIME + LATE)

        count, late_by_bridge = late(bridge)
        assert bridge.stop() == 0

    document = verify({**settings, "verify.settle_seconds": "0"})
    assert document["transitions"] == count == IN_TIME + LATE
    # A slow machine makes others late too.
    assert LATE <= late_by_bridge < count
    assert abs(document["late"] - late_by_bridge) <= AT_THE_LIMIT


def test_times_of_the_producer_count_nothing(settings: GivenSettings, jobs: JobWriter) -> None:
    """A message has the time when the bridge handed it over, however long Kafka was away."""
    given = {**settings, "verify.settle_seconds": "0"}
    jobs.insert()

    assert verify(given)["late"] is None
    ended = run_command("verify", settings=given)
    assert "missing       1" in ended.out and "late" not in ended.out
