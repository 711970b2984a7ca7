"""Both drivers with a real Kafka, beyond the protocol of a sink."""

from __future__ import annotations

import gc
import pydoc
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaProducer

from bridge.demo.servers.process import poll
from bridge.errors import Misconfigured, Retryable
from bridge.kafka.drivers import driver_of
from bridge.kafka.librdkafka.admin_client import AdminClient
from bridge.model.message import Message
from bridge.pipeline.ports import Sink
from tests.support.factories import delivery, message, settings
from tests.support.servers.kafka import Kafka
from tests.support.sinks_under_test import MOST, SETTLE_SECONDS, KafkaSinkUnderTest, send, settle


def test_fewer_partitions_need_a_new_sink(
    cluster: KafkaSinkUnderTest, kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.kafka.timeouts.METADATA_SECONDS", 1.0)

    def send_more(sink: Sink) -> None:
        sink.send([(message(f"job-{key}", b"", topic), delivery(key)) for key in range(20)])
        cluster.pulse(sink)
        sink.settled()

    with cluster.open() as sink:
        send_more(sink)
        kafka.delete_topic(topic)
        kafka.create_topic(topic, partitions=1)
        deadline = time.monotonic() + SETTLE_SECONDS
        with pytest.raises(Retryable):
            while time.monotonic() < deadline:
                send_more(sink)

    with cluster.open() as sink:
        sink.send([(message("job-1", b"after", topic), delivery(1))])
        settle(cluster, sink, lambda deliveries: len(deliveries) == 1)


def test_added_partitions_wait_for_a_new_sink(
    cluster: KafkaSinkUnderTest, kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under an open sink the messages of a key stay in their partition."""
    monkeypatch.setattr("bridge.kafka.timeouts.METADATA_SECONDS", 0.5)

    def send_keys(sink: Sink) -> None:
        sink.send([(message(f"job-{key}", b"%d" % key, topic), delivery(key)) for key in range(40)])
        settle(cluster, sink, lambda deliveries: len(deliveries) == 40)

    def partitions() -> set[int]:
        return {record.partition for record in kafka.read(topic)}

    with cluster.open() as sink:
        send_keys(sink)
        with kafka.admin() as admin:
            admin.create_partitions({topic: 6})
            poll(
                lambda: len(admin.describe_topics([topic])[0]["partitions"]) == 6,
                "the added partitions",
            )
        for _ in range(3):  # the client has seen them
            cluster.pulse(sink)
        send_keys(sink)
        assert partitions() == set(sink.offsets()) == {0, 1, 2}

    with cluster.open() as sink:
        send_keys(sink)
        assert partitions() == set(sink.offsets()) == set(range(6))


def test_the_partition_is_the_default_partitioners(cluster: KafkaSinkUnderTest) -> None:
    keys = [f"job-{number}-{'ü' * (number % 5)}" for number in range(60)]
    with cluster.open() as sink:
        for number, key in enumerate(keys):
            sink.send([(message(key, key.encode(), cluster.topic), delivery(number))])
        settle(cluster, sink, lambda deliveries: len(deliveries) == len(keys))

    producer = KafkaProducer(bootstrap_servers=cluster.kafka.bootstrap)
    for key in keys:
        producer.send(cluster.topic, b"its own choice", key.encode())
    producer.close()

    chosen: dict[bytes | None, set[int]] = {}
    for record in cluster.kafka.read(cluster.topic):
        chosen.setdefault(record.key, set()).add(record.partition)
    assert len(chosen) == 60
    assert {len(partitions) for partitions in chosen.values()} == {1}
    assert {number for partitions in chosen.values() for number in partitions} == {0, 1, 2}


def test_headers_arrive_unchanged(cluster: KafkaSinkUnderTest) -> None:
    headers = [("ce_id", b"t-1"), ("content-type", b"application/json")]
    with cluster.open() as sink:
        sink.send([(Message(cluster.topic, b"job-0", b"{}", headers), delivery(1))])
        settle(cluster, sink, lambda deliveries: len(deliveries) == 1)

    (record,) = cluster.kafka.read(cluster.topic)
    assert list(record.headers) == headers


def test_a_closed_sink_delivers_nothing_more(
    behind_a_proxy: tuple[KafkaSinkUnderTest, Kafka],
) -> None:
    cluster, kafka = behind_a_proxy
    with kafka.proxy() as proxy:
        with cluster.open() as sink:
            send(cluster, sink, 3)
            settle(cluster, sink, lambda deliveries: len(deliveries) == 3)
            proxy.refuse()
            proxy.reset()
            sink.send([(message("job-0", b"late", cluster.topic), delivery(9))])
            before = time.monotonic()
        assert time.monotonic() - before < 6
        threads = [
            thread.name
            for thread in threading.enumerate()
            if "network-thread" in thread.name or "librdkafka" in thread.name
        ]
        assert threads == []
        proxy.pass_through()
        with cluster.open() as another:
            another.send([(message("job-0", b"mark", cluster.topic), delivery(10))])
            settle(cluster, another, lambda deliveries: len(deliveries) == 1)

    assert proxy.counts.reset > 0
    values = [value for partition in cluster.written() for value in partition]
    assert b"mark" in values and b"late" not in values


def test_a_broken_connection_neither_loses_nor_repeats(
    behind_a_proxy: tuple[KafkaSinkUnderTest, Kafka],
) -> None:
    cluster, kafka = behind_a_proxy
    with kafka.proxy() as proxy, cluster.open() as sink:
        sink.send([(message("job-9", b"connected", cluster.topic), delivery(99))])
        settle(cluster, sink, lambda deliveries: len(deliveries) == 1)
        for number in range(60):
            sink.send(
                [(message(f"job-{number % 4}", b"%d" % number, cluster.topic), delivery(number))]
            )
            if number % 20 == 10:
                proxy.reset()
        settle(cluster, sink, lambda deliveries: len(deliveries) == 60)

        assert proxy.counts.reset > 0
    written = [
        [value for value in partition if value != b"connected"] for partition in cluster.written()
    ]
    assert sorted(value for partition in written for value in partition) == sorted(
        b"%d" % number for number in range(60)
    )
    for partition in written:
        for key in range(4):
            mine = [int(value) for value in partition if int(value) % 4 == key]
            assert mine == sorted(mine)


def test_a_missing_topic_is_reported_and_not_created(driver: str, kafka: Kafka) -> None:
    config = settings(
        kafka__bootstrap_servers=kafka.bootstrap, kafka__topic="nowhere", kafka__driver=driver
    )

    with pytest.raises(Misconfigured, match="nowhere does not exist"):
        driver_of(config).sink(config, "nowhere-dlq", threading.Event()).__enter__()

    with kafka.admin() as admin:
        assert "nowhere" not in admin.list_topics()


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the client leaks sockets that did not connect
def test_an_unreachable_broker_is_retryable(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.kafka.timeouts.BOOTSTRAP_SECONDS", 0.3)
    config = settings(
        kafka__bootstrap_servers="127.0.0.1:1", kafka__topic="jobs", kafka__driver=driver
    )

    with pytest.raises(Retryable) as caught:
        driver_of(config).sink(config, "jobs-dlq", threading.Event()).__enter__()

    assert caught.value.part == "kafka"
    del caught
    gc.collect()


@pytest.fixture(scope="module")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker whose session at the controller is expired eight seconds out of fourteen.

    It then answers that no broker is available.
    """
    times = {"broker.session.timeout.ms": "6000", "broker.heartbeat.interval.ms": "14000"}
    with Kafka(tmp_path_factory.mktemp("expired"), properties=times) as server:
        poll(lambda: alive(server), "the broker, alive")
        server.create_topic("jobs", max_message_bytes=MOST)
        yield server


def alive(kafka: Kafka) -> bool:
    """Whether the broker reports a broker.

    Only a new client can ask: it closes connections to brokers that are no longer reported.
    """
    return bool(AdminClient({"bootstrap.servers": kafka.internal}).list_topics(timeout=5).brokers)


def test_a_broker_without_its_controller_is_waited_for(
    driver: str, expired: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Happens for a moment after a pause; other requests would time out after 15 seconds."""
    config = settings(
        kafka__bootstrap_servers=expired.bootstrap, kafka__topic="jobs", kafka__driver=driver
    )
    topics = driver_of(config).topics(config)
    poll(lambda: alive(expired), "the broker, alive")
    poll(lambda: not alive(expired), "the broker, expired")

    with (
        monkeypatch.context() as patch,
        pytest.raises(Retryable, match="no broker is available"),
    ):
        patch.setattr("bridge.kafka.timeouts.BOOTSTRAP_SECONDS", 0.5)
        topics.describe("jobs")
    assert not alive(expired)
    topics_described = topics.describe("jobs")

    assert alive(expired)
    assert topics_described["jobs"].max_message_bytes == MOST


def test_no_answer_is_not_a_missing_permission(
    driver: str, behind_a_proxy: tuple[KafkaSinkUnderTest, Kafka], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, kafka = behind_a_proxy
    function = {
        "kafka-python": "bridge.kafka.kafka_python.topics.describe_configs",
        "librdkafka": "bridge.kafka.librdkafka.topics._deadline",
    }[driver]
    original: Any = pydoc.locate(function)

    with kafka.proxy() as proxy:

        def silent(*arguments: object) -> object:
            proxy.silence()
            return original(*arguments)

        monkeypatch.setattr("bridge.kafka.timeouts.REQUEST_SECONDS", 1.0)
        monkeypatch.setattr(function, silent)
        with pytest.raises(Retryable):
            driver_of(cluster.config).topics(cluster.config).describe(cluster.topic)

        assert proxy.counts.held > 0
