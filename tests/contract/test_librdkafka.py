"""The behaviour of librdkafka alone, with a real Kafka."""

from __future__ import annotations

import logging

import pytest

from bridge.demo.servers.process import poll
from bridge.kafka.librdkafka import producer
from bridge.model.window import Sending
from tests.support.factories import delivery, message
from tests.support.servers.kafka import Kafka
from tests.support.sinks_under_test import SETTLE_SECONDS, KafkaSinkUnderTest, settle


def together(count: int, topic: str) -> list[Sending]:
    return [
        (message(f"job-{number}", b"%d" % number, topic), delivery(number))
        for number in range(count)
    ]


def test_a_few_messages_are_flushed_and_many_linger(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few would be late otherwise; the first of many would be sent alone."""
    monkeypatch.setattr(producer, "_LINGER_MS", 2 * SETTLE_SECONDS * 1000)
    cluster = KafkaSinkUnderTest("librdkafka", kafka, topic)
    few, many = together(99, topic), together(100, topic)

    with cluster.open() as sink:
        sink.send(few)
        settle(cluster, sink, lambda deliveries: len(deliveries) == 99)
        sink.send(many)
        for _ in range(2):  # time enough to send them
            cluster.pulse(sink)
        assert not sink.settled()
        sink.send(together(1, topic))
        settle(cluster, sink, lambda deliveries: len(deliveries) == 101)


def test_its_log_reaches_no_logger_of_the_process(
    kafka: Kafka, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = KafkaSinkUnderTest("librdkafka", kafka, topic)

    with (
        caplog.at_level(logging.INFO),
        producer.LibrdkafkaSink(cluster.config, None, cluster.wake) as sink,
    ):
        sink.send(together(1, topic))
        settle(cluster, sink, lambda deliveries: len(deliveries) == 1)

        assert "CONFWARN" not in sink.complaint()
    assert not [record for record in caplog.records if "CONFWARN" in record.getMessage()]


def test_warnings_arrive_while_nothing_is_in_flight(kafka: Kafka, topic: str) -> None:
    """librdkafka delivers its log lines only while it is polled."""
    cluster = KafkaSinkUnderTest("librdkafka", kafka, topic, f"127.0.0.1:{kafka.proxy_port}")
    with (
        kafka.proxy() as proxy,
        producer.LibrdkafkaSink(cluster.config, None, cluster.wake) as sink,
    ):
        sink.send(together(1, topic))
        settle(cluster, sink, lambda deliveries: len(deliveries) == 1)
        proxy.close()
        poll(lambda: "refused" in sink.complaint(), "a warning about the refused connection")
