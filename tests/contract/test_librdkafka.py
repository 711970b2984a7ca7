"""librdkafka alone, with a real Kafka."""

from __future__ import annotations

import logging

import pytest

from bridge.demo.servers.process import poll
from bridge.kafka.librdkafka import producer
from bridge.kafka.librdkafka.client import LOGGER
from bridge.model.window import Sending
from tests.support.factories import delivery, message
from tests.support.servers.kafka import Kafka
from tests.support.sinks_under_test import SETTLE_SECONDS, KafkaSink, settle


def together(count: int, topic: str) -> list[Sending]:
    return [
        (message(f"job-{number}", b"%d" % number, topic), delivery(number))
        for number in range(count)
    ]


def test_few_messages_are_flushed_and_many_linger(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few would be late otherwise; of many, the first would be sent alone."""
    monkeypatch.setattr(producer, "_LINGER_MS", 2 * SETTLE_SECONDS * 1000)
    cluster = KafkaSink("librdkafka", kafka, topic)
    few, many = together(99, topic), together(100, topic)

    with cluster.open() as sink:
        sink.send(few)
        settle(cluster, sink, lambda found: len(found) == 99)
        sink.send(many)
        for _ in range(2):  # had it sent them, they would be there by now
            cluster.pulse(sink)
        assert not sink.settled()
        sink.send(together(1, topic))
        settle(cluster, sink, lambda found: len(found) == 101)


def test_deliberate_settings_cause_no_warning(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger(LOGGER), "propagate", True)
    cluster = KafkaSink("librdkafka", kafka, topic)

    with caplog.at_level(logging.INFO, logger=LOGGER), cluster.open() as sink:
        sink.send(together(1, topic))
        settle(cluster, sink, lambda found: len(found) == 1)
        logging.getLogger(LOGGER).warning("FAIL: this is heard")

    said = [each.getMessage() for each in caplog.records if each.name == LOGGER]
    assert "FAIL: this is heard" in said
    assert not [each for each in said if "CONFWARN" in each]


def test_warnings_are_recorded_while_nothing_is_in_flight(kafka: Kafka, topic: str) -> None:
    """Else its lines would be kept for as long as nothing is sent."""
    cluster = KafkaSink("librdkafka", kafka, topic, f"127.0.0.1:{kafka.proxy_port}")
    with (
        kafka.proxy() as proxy,
        producer.LibrdkafkaSink(cluster.config, None, cluster.wake) as sink,
    ):
        sink.send(together(1, topic))
        settle(cluster, sink, lambda found: len(found) == 1)
        proxy.close()
        poll(lambda: "refused" in sink.complaint(), "that no connection is to be had")
