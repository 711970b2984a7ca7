"""Both drivers describe and create topics alike, with their settings."""

from __future__ import annotations

import uuid

import pytest

from bridge.kafka.drivers import driver_of
from bridge.kafka.topics import STATE_SEGMENT_BYTES, TopicPlan, state_topic_plan
from tests.support.factories import settings
from tests.support.servers.kafka import Kafka


@pytest.mark.parametrize(
    ("policy", "compacted"),
    [("compact", True), ("compact,delete", True), ("delete,compact", True), ("delete", False)],
)
def test_a_compacted_topic_is_recognised(
    policy: str, compacted: bool, driver: str, kafka: Kafka
) -> None:
    name = f"test-{uuid.uuid4().hex[:12]}"
    kafka.create_topic(name, cleanup_policy=policy)
    config = settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__driver=driver)

    topic = driver_of(config).topics(config).describe(name)[name]

    assert topic.compacted is compacted
    assert topic.expires is ("delete" in policy)
    assert topic.replicas == 1


@pytest.mark.parametrize("kind", ["CreateTime", "LogAppendTime"])
def test_the_kind_of_timestamps_is_recognised(kind: str, driver: str, kafka: Kafka) -> None:
    name = f"test-{uuid.uuid4().hex[:12]}"
    kafka.create_topic(name, message_timestamp_type=kind)
    config = settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__driver=driver)

    topic = driver_of(config).topics(config).describe(name)[name]

    assert topic.has_append_times is (kind == "LogAppendTime")


def test_a_state_topic_has_its_settings(driver: str, kafka: Kafka) -> None:
    name = f"test-{uuid.uuid4().hex[:12]}"
    config = settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__driver=driver)
    topics = driver_of(config).topics(config)
    plans = [TopicPlan(name, 3), state_topic_plan(name, replicas=1)]

    assert topics.create(plans, replicas=1) == [name, f"{name}-bridge-state"]
    assert topics.create(plans, replicas=1) == []
    described = topics.describe(name, f"{name}-bridge-state")

    state = described[f"{name}-bridge-state"]
    assert described[name].partitions == 3 and not described[name].compacted
    assert (state.partitions, state.cleanup_policy) == (1, "compact")
    assert (state.segment_bytes, state.min_insync_replicas) == (STATE_SEGMENT_BYTES, 1)
    assert state_topic_plan(name, replicas=3).configs["min.insync.replicas"] == "2"
