"""The sender thread of kafka-python wakes once for a hand-over, and is idle if it cannot send."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka.admin import ACLOperation, ResourceType
from kafka.net.compat import KafkaNetClient
from kafka.producer.sender import Sender

from bridge.demo.servers.process import poll
from bridge.errors import BridgeError
from bridge.kafka import timeouts
from bridge.kafka.kafka_python.producer import KafkaPythonSink
from tests.support.factories import delivery, message
from tests.support.servers.kafka import Kafka
from tests.support.sinks_under_test import KafkaSinkUnderTest, settle

DRIVER = "kafka-python"
PULSES, MAX_TURNS = 4, 100
#: More partitions, each with one batch in flight, than a broker gets requests at once.
PARTITIONS, MESSAGES = 12, 60

Turns = Callable[[KafkaSinkUnderTest, KafkaPythonSink], int]


def opened(cluster: KafkaSinkUnderTest) -> KafkaPythonSink:
    return KafkaPythonSink(cluster.config, f"{cluster.topic}-dlq", cluster.wake)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    """Counts how often the sender looks for work in two seconds."""
    seen: list[object] = []
    look = Sender._send_producer_data

    def counted(sender: Sender) -> object:
        seen.append(sender)
        return look(sender)

    monkeypatch.setattr(Sender, "_send_producer_data", counted)

    def count(cluster: KafkaSinkUnderTest, sink: KafkaPythonSink) -> int:
        before = len(seen)
        for _ in range(PULSES):
            cluster.pulse(sink)
        return len(seen) - before

    return count


def test_the_sender_is_idle_without_a_broker(kafka: Kafka, topic: str, turns: Turns) -> None:
    cluster = KafkaSinkUnderTest(DRIVER, kafka, topic, f"127.0.0.1:{kafka.proxy_port}")
    with kafka.proxy() as proxy, opened(cluster) as sink:
        sink.send([(message("job-0", b"before", topic), delivery(1))])
        settle(cluster, sink, lambda deliveries: len(deliveries) == 1)
        proxy.refuse()
        proxy.reset()
        sink.send([(message("job-0", b"meanwhile", topic), delivery(2))])
        poll(lambda: bool(sink.complaint()), "the loss of the connection")

        assert turns(cluster, sink) < MAX_TURNS

        proxy.pass_through()
        settle(cluster, sink, lambda deliveries: len(deliveries) == 1)


def test_the_sender_is_idle_with_full_requests(kafka: Kafka, turns: Turns) -> None:
    topic = f"test-{uuid.uuid4().hex[:12]}"
    for name, partitions in ((topic, PARTITIONS), (f"{topic}-dlq", 1)):
        kafka.create_topic(name, partitions)
    cluster = KafkaSinkUnderTest(DRIVER, kafka, topic, f"127.0.0.1:{kafka.proxy_port}")
    with kafka.proxy() as proxy, opened(cluster) as sink:
        sink.send([(message("job-0", b"before", topic), delivery(1))])
        settle(cluster, sink, lambda deliveries: len(deliveries) == 1)
        proxy.silence()
        for number in range(MESSAGES):
            sink.send([(message(f"job-{number}", b"%d" % number, topic), delivery(2 + number))])
            cluster.wake.wait(0.02)  # or several would be in one batch
        connections = sink._producer._sender._client._manager._conns.values()
        assert any(connection.paused for connection in connections), "more may be sent"

        assert turns(cluster, sink) < MAX_TURNS

        proxy.pass_through()
        settle(cluster, sink, lambda deliveries: len(deliveries) == MESSAGES)


def test_the_sender_is_idle_after_a_refused_password(tmp_path: Path, turns: Turns) -> None:
    login = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "bridge",
        "sasl_password": "right",
    }
    with Kafka(tmp_path, users={"bridge": "right"}) as kafka:
        for name in ("jobs", "jobs-dlq"):
            kafka.create_topic(name)
            kafka.allow(
                "bridge",
                ResourceType.TOPIC,
                name,
                ACLOperation.DESCRIBE,
                ACLOperation.DESCRIBE_CONFIGS,
                ACLOperation.WRITE,
            )
        cluster = KafkaSinkUnderTest(
            DRIVER, kafka, "jobs", **{f"kafka__{name}": value for name, value in login.items()}
        )
        with opened(cluster) as sink:
            sink.send([(message("job-0", b"before", "jobs"), delivery(1))])
            settle(cluster, sink, lambda deliveries: len(deliveries) == 1)
            kafka.kill()
            kafka.know({"bridge": "another"})
            kafka.start()
            sink.send([(message("job-0", b"meanwhile", "jobs"), delivery(2))])
            poll(lambda: "SaslAuthenticationFailed" in sink.complaint(), "the refusal")

            assert turns(cluster, sink) < MAX_TURNS

            kafka.kill()
            kafka.know({"bridge": "right"})
            kafka.start()
            settle(cluster, sink, lambda deliveries: len(deliveries) == 1)


def test_a_hand_over_wakes_the_sender_once(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Woken by the first message of a batch, it would send that message alone."""
    wakes: list[object] = []
    wakeup = KafkaNetClient.wakeup

    def counted(client: KafkaNetClient) -> None:
        wakes.append(client)
        wakeup(client)

    monkeypatch.setattr(KafkaNetClient, "wakeup", counted)
    cluster = KafkaSinkUnderTest(DRIVER, kafka, topic)
    together = [
        (message(f"job-{number % 20}", b"{}", topic), delivery(number)) for number in range(60)
    ]
    with cluster.open() as sink:
        sink.send(together)  # waits for the topic's metadata
        settle(cluster, sink, lambda deliveries: len(deliveries) == 60)
        wakes.clear()
        for expected in (1, 2):
            sink.send(together)
            assert len(wakes) == expected
            settle(cluster, sink, lambda deliveries: len(deliveries) == 60)

    assert sum(map(len, cluster.written())) == 180


def test_given_up_batches_in_flight_are_waited_for(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender forgets a batch that it gives up, but the broker may still write it."""
    monkeypatch.setattr(timeouts, "ANSWER_SECONDS", 30.0)
    cluster = KafkaSinkUnderTest(DRIVER, kafka, topic, f"127.0.0.1:{kafka.proxy_port}")
    with kafka.proxy() as proxy:
        with opened(cluster) as sink:
            sink.send([(message("job-0", b"before", topic), delivery(1))])
            settle(cluster, sink, lambda deliveries: len(deliveries) == 1)
            proxy.silence()
            held = proxy.counts.held
            sink.send([(message("job-0", b"meanwhile", topic), delivery(2))])
            poll(lambda: proxy.counts.held > held, "a request in flight")
            sink._producer._accumulator.config["delivery_timeout_ms"] = 0
            sink._producer.wake_sender()
            poll(lambda: given_up(sink), "the end of the client's patience")
            threading.Timer(0.5, proxy.pass_through).start()
            started = time.monotonic()

        assert 0.4 < time.monotonic() - started < 10
    assert b"meanwhile" in [value for partition in cluster.written() for value in partition]


def given_up(sink: KafkaPythonSink) -> bool:
    try:
        sink.settled()
    except BridgeError:
        return True
    return False
