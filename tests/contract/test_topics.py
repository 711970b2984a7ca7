"""Both drivers recognise a compacted topic, which ``check`` and ``verify`` treat apart."""

from __future__ import annotations

import uuid

import pytest

from bridge.kafka.drivers import driver_of
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
    assert topic.replicas == 1
