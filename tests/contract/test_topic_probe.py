"""The probes of both drivers with a real Kafka."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge.demo.servers.process import free_port, poll
from bridge.errors import BridgeError, Misconfigured, Retryable
from bridge.kafka.drivers import driver_of
from bridge.kafka.probe import CONNECT_SECONDS, TopicProbe
from tests.support.factories import settings
from tests.support.servers.kafka import Kafka


@contextmanager
def probe_of(driver: str, address: str, topic: str) -> Iterator[TopicProbe]:
    chosen = settings(kafka__driver=driver, kafka__bootstrap_servers=address, kafka__topic=topic)
    probe = driver_of(chosen).probe(chosen)
    try:
        yield probe
    finally:
        probe.close()


def failure_of(probe: TopicProbe) -> str:
    try:
        probe.check()
    except BridgeError as error:
        return str(error)
    return ""


def test_a_topic_with_leaders_is_well(driver: str, kafka: Kafka, topic: str) -> None:
    with probe_of(driver, kafka.bootstrap, topic) as probe:
        probe.check()
        probe.check()

    assert kafka.read(topic) == []


def test_a_deleted_topic_is_named(driver: str, kafka: Kafka, topic: str) -> None:
    """It is asked for by name, and never created."""
    with probe_of(driver, kafka.bootstrap, topic) as probe:
        probe.check()
        kafka.delete_topic(topic)
        poll(lambda: f"The topic {topic} does not exist" in failure_of(probe), "its absence")
        with pytest.raises(Misconfigured):
            probe.check()

    with kafka.admin() as admin:
        assert topic not in admin.list_topics()


def test_missing_in_sync_replicas_are_named(driver: str, kafka: Kafka, topic: str) -> None:
    """The topic has leaders, and accepts nothing all the same."""
    with probe_of(driver, kafka.bootstrap, topic) as probe:
        probe.check()
        kafka.alter_topic(topic, min_insync_replicas=2)
        poll(lambda: "3 of 3 partitions" in failure_of(probe), "the missing replicas")
        with pytest.raises(Retryable, match=r"min\.insync\.replicas = 2"):
            probe.check()
        kafka.alter_topic(topic, min_insync_replicas=1)
        poll(lambda: failure_of(probe) == "", "enough replicas")


def test_an_unreachable_broker_fails_soon(driver: str, topic: str) -> None:
    port = free_port()
    with probe_of(driver, f"127.0.0.1:{port}", topic) as probe:
        started = time.monotonic()
        with pytest.raises(Retryable, match=f"127.0.0.1:{port}") as caught:
            probe.check()

        assert time.monotonic() - started < CONNECT_SECONDS + 2
    assert "refused" in str(caught.value).lower()


def test_a_frozen_broker_does_not_answer(driver: str, kafka: Kafka, topic: str) -> None:
    """It still accepts connections; it is well as soon as it continues."""
    with probe_of(driver, kafka.bootstrap, topic) as probe:
        probe.check()
        kafka.pause()
        try:
            with pytest.raises(Retryable):
                probe.check()
        finally:
            kafka.resume()
        probe.check()
