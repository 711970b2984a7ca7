"""A topic that is deleted under a sink, with a broker that creates what clients ask for."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from bridge.errors import Misconfigured, Retryable
from bridge.kafka.drivers import driver_of
from bridge.kafka.librdkafka import producer
from bridge.pipeline.ports import Sink
from tests.support.factories import delivery, message, settings
from tests.support.servers import kafka as apache
from tests.support.servers.kafka import Kafka
from tests.support.sinks_under_test import SETTLE_SECONDS, KafkaSinkUnderTest, send, settle

#: Requests for metadata by the client, after which the topic is looked for.
REFRESHES = 3


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker that creates a missing topic, with 2 partitions, when a client asks for it."""
    apache.required()
    properties = {"auto.create.topics.enable": "true", "num.partitions": "2"}
    with Kafka(tmp_path_factory.mktemp("kafka"), properties=properties) as server:
        yield server


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.kafka.timeouts.METADATA_SECONDS", 0.5)
    monkeypatch.setattr(producer, "_PROPAGATION_SECONDS", 0.5)


def exists(kafka: Kafka, topic: str) -> bool:
    with kafka.admin() as admin:
        return topic in admin.list_topics()


def send_until_it_fails(cluster: KafkaSinkUnderTest, sink: Sink) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        sink.send([(message("job-1", b"late", cluster.topic), delivery(9))])
        cluster.pulse(sink)
        sink.settled()


def wait_until_it_fails(cluster: KafkaSinkUnderTest, sink: Sink) -> None:
    settle(cluster, sink, lambda _: False)


@pytest.mark.parametrize("fail", [send_until_it_fails, wait_until_it_fails])
def test_a_deleted_topic_stays_deleted(
    cluster: KafkaSinkUnderTest, kafka: Kafka, topic: str, fail: object
) -> None:
    """The sink fails and names the topic; a new sink works when an operator has created it."""
    assert callable(fail)
    with cluster.open() as sink:
        send(cluster, sink, 4)
        settle(cluster, sink, lambda deliveries: len(deliveries) == 4)
        kafka.delete_topic(topic)
        with pytest.raises(Retryable, match=f"topic {topic} was deleted"):
            fail(cluster, sink)
        assert sink.broken
        for _ in range(REFRESHES):
            cluster.pulse(sink)
    with pytest.raises(Misconfigured, match=f"topic {topic} does not exist"):
        cluster.open().__enter__()

    assert not exists(kafka, topic)
    kafka.create_topic(topic, partitions=3)
    with cluster.open() as sink:
        send(cluster, sink, 4)
        settle(cluster, sink, lambda deliveries: len(deliveries) == 4)
    assert sum(map(len, cluster.written())) == 4


def test_reading_a_missing_topic_creates_nothing(driver: str, kafka: Kafka) -> None:
    name = f"test-{uuid.uuid4().hex[:12]}"
    config = settings(
        kafka__bootstrap_servers=kafka.bootstrap, kafka__topic=name, kafka__driver=driver
    )
    with pytest.raises(Misconfigured), driver_of(config).reader(config) as reader:
        reader.count(name, None)
    with pytest.raises(Misconfigured):
        driver_of(config).sink(config, f"{name}-dlq", threading.Event()).__enter__()
    assert driver_of(config).topics(config).describe(name, f"{name}-dlq") == {}

    assert not exists(kafka, name) and not exists(kafka, f"{name}-dlq")


def test_the_broker_would_create_the_topic(kafka: Kafka) -> None:
    """Otherwise the tests above prove nothing."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    client = Producer({"bootstrap.servers": kafka.bootstrap})
    client.produce(name, b"any client")
    client.flush(SETTLE_SECONDS)

    assert exists(kafka, name)
