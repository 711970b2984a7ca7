"""Short reads, so that a stream that is closed is gone soon; Kafka by each driver."""

from __future__ import annotations

import pytest

from tests.support.servers.kafka import Kafka
from tests.support.sinks_under_test import DRIVERS, KafkaSinkUnderTest


@pytest.fixture(autouse=True)
def short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.mongo.change_stream.AWAIT_MS", 250)


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cluster(driver: str, kafka: Kafka, topic: str) -> KafkaSinkUnderTest:
    return KafkaSinkUnderTest(driver, kafka, topic)


@pytest.fixture
def behind_a_proxy(driver: str, kafka: Kafka, topic: str) -> tuple[KafkaSinkUnderTest, Kafka]:
    return KafkaSinkUnderTest(driver, kafka, topic, f"127.0.0.1:{kafka.proxy_port}"), kafka
