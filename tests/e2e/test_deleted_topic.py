"""The topic is deleted under a running bridge, and an operator creates it again."""

from __future__ import annotations

import pytest

from bridge.demo.servers.process import poll
from tests.e2e.conftest import MakeBridge
from tests.support.job_writer import JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka
from tests.support.sinks_under_test import DRIVERS


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_idle_bridge_waits_for_its_topic(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str, driver: str
) -> None:
    """It is not ready and names the topic; then it sends what happened meanwhile."""
    with start(kafka__driver=driver) as bridge:
        bridge.wait_ready()
        jobs.add()
        bridge.wait_acked(1)
        kafka.delete_topic(topic)

        assert topic in bridge.unready_reason("topic")
        meanwhile = jobs.add()
        bridge.wait_unready(f"topic {topic} does not exist")
        kafka.create_topic(topic)

        bridge.wait_ready()
        poll(lambda: bool(published_states(kafka, topic, meanwhile)), "the job's message")
        assert published_states(kafka, topic, meanwhile) == ["created"]
