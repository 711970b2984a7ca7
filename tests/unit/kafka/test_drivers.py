"""Clients of several bridges in one process do not disturb each other."""

from __future__ import annotations

import sys

import pytest

from bridge import kafka
from bridge.demo.servers.process import free_port
from bridge.errors import Misconfigured, Retryable
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

    first, second = topics_at(ports[0]), topics_at(ports[1])

    for topics, own, other in ((first, ports[0], ports[1]), (second, ports[1], ports[0])):
        with pytest.raises(Retryable) as raised:
            topics.describe("jobs")
        cause = raised.value.what.partition("Kafka refuses connections at ")[2]
        assert f":{own}" in cause and f":{other}" not in cause


def test_a_missing_codec_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """librdkafka contains them all."""
    monkeypatch.setattr("kafka.codec.has_zstd", lambda: False)
    given = {"kafka__topic": "jobs", "kafka__compression": "zstd"}

    with pytest.raises(Misconfigured, match=r"kafka.compression = zstd needs a package"):
        driver_of(settings(kafka__driver="kafka-python", **given))
    assert driver_of(settings(kafka__driver="librdkafka", **given)).name == "librdkafka"


def test_an_unusable_kafka_python_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(kafka, "kafka_python", raising=False)
    for name in [name for name in sys.modules if name.startswith("bridge.kafka.kafka_python")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kafka", None)

    with pytest.raises(Misconfigured, match=r"cannot be loaded: .*pip install 'kafka-python>="):
        driver_of(settings(kafka__topic="jobs", kafka__driver="kafka-python"))


def test_kafka_python_has_no_checkpoint_store() -> None:
    """The error names the command that installs the other driver."""
    chosen = settings(kafka__topic="jobs", kafka__driver="kafka-python")

    with pytest.raises(Misconfigured, match=r"pip install 'job-bridge\[librdkafka\]'"):
        driver_of(chosen).checkpoint_store(chosen, None)
