"""Clients of several bridges in one process do not disturb each other."""

from __future__ import annotations

import pytest

from bridge.demo.servers.process import free_port
from bridge.errors import Retryable
from bridge.kafka.drivers import driver_of
from bridge.kafka.topics import Topics
from tests.support.factories import settings


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_each_client_reports_its_own_failure(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.kafka.timeouts.BOOTSTRAP_SECONDS", 0.3)
    ports = free_port(), free_port()

    def topics_at(port: int) -> Topics:
        config = settings(
            kafka__bootstrap_servers=f"127.0.0.1:{port}",
            kafka__topic="jobs",
            kafka__driver=driver,
        )
        return driver_of(config).topics(config)

    first, second = map(topics_at, ports)

    for topics, own, other in ((first, *ports), (second, *reversed(ports))):
        with pytest.raises(Retryable) as raised:
            topics.describe("jobs")
        cause = raised.value.what.partition("(")[2]
        assert f":{own}" in cause and f":{other}" not in cause
