"""Both drivers describe and create topics alike, with their settings."""

from __future__ import annotations

import uuid

import pytest

from bridge.errors import Misconfigured
from bridge.kafka.drivers import driver_of
from bridge.kafka.topics import STATE_SEGMENT_BYTES, TopicPlan, state_topic_plan, would_create
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


@pytest.mark.parametrize("validate_only", [True, False])
def test_a_topic_that_is_refused_names_the_reason(
    validate_only: bool, driver: str, kafka: Kafka
) -> None:
    """Kafka does not distinguish dots and underscores in the names of metrics."""
    name = f"test.{uuid.uuid4().hex[:12]}"
    kafka.create_topic(name)
    config = settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__driver=driver)
    topics = driver_of(config).topics(config)
    colliding = TopicPlan(name.replace(".", "_"), 1)

    with pytest.raises(Misconfigured) as collision:
        topics.create([colliding], replicas=1, validate_only=validate_only)
    with pytest.raises(Misconfigured) as replicas:
        topics.create([TopicPlan(f"{name}-many", 1)], replicas=9, validate_only=validate_only)

    assert f"{colliding.name}: Topic '{colliding.name}' collides" in collision.value.what
    assert "kafka.topic" in collision.value.todo and "--replicas" in replicas.value.todo
    assert "broker(s) are registered" in replicas.value.what
    for error in (collision.value, replicas.value):
        assert "KafkaError{" not in error.what and "Request" not in error.what


@pytest.mark.parametrize(("partitions", "replicas"), [(2**31 - 1, 1), (1, 2**15 - 1)])
def test_the_largest_numbers_are_refused(
    partitions: int, replicas: int, driver: str, kafka: Kafka
) -> None:
    config = settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__driver=driver)
    plans = [TopicPlan(f"test-{uuid.uuid4().hex[:12]}", partitions)]

    with pytest.raises(Misconfigured):
        driver_of(config).topics(config).create(plans, replicas, validate_only=True)


def test_a_dry_run_expects_what_kafka_refuses(driver: str, kafka: Kafka) -> None:
    name = f"test.{uuid.uuid4().hex[:12]}"
    kafka.create_topic(name)
    config = settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__driver=driver)
    overview = driver_of(config).topics(config).overview()

    assert overview.brokers == 1
    assert would_create([TopicPlan(name, 1), TopicPlan(f"{name}-new", 1)], 1, overview) == [
        f"{name}-new"
    ]
    with pytest.raises(Misconfigured, match="collides with existing topic"):
        would_create([TopicPlan(name.replace(".", "_"), 1)], 1, overview)
    with pytest.raises(Misconfigured, match="9 replicas need as many brokers"):
        would_create([TopicPlan(f"{name}-new", 1)], 9, overview)


def test_a_validation_creates_nothing(driver: str, kafka: Kafka) -> None:
    name = f"test-{uuid.uuid4().hex[:12]}"
    config = settings(kafka__bootstrap_servers=kafka.bootstrap, kafka__driver=driver)
    topics = driver_of(config).topics(config)

    assert topics.create([TopicPlan(name, 3)], replicas=1, validate_only=True) == [name]
    with kafka.admin() as admin:
        assert name not in admin.list_topics()
