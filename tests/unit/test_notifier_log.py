"""The log of a service whose notifier cannot reach Kafka."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from bridge import Notifier
from bridge.demo.servers.process import free_port, poll
from bridge.kafka.kafka_python.debug_log import at_debug
from tests.support.process_state import changes, process_state

NOW = datetime(2026, 3, 2, 20, 31, 2, tzinfo=timezone.utc)
REFUSED = "Connection failed: %s"


@pytest.fixture(autouse=True)
def short_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.kafka.timeouts.BOOTSTRAP_SECONDS", 0.5)


@contextmanager
def unreachable(driver: str) -> Iterator[Notifier]:
    with Notifier(
        f"127.0.0.1:{free_port()}",
        "jobs",
        mode="fire-and-forget",
        driver=driver,
        timeout_seconds=0.05,
    ) as notifier:
        yield notifier


def of_client(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith("kafka")]


def levels(records: list[logging.LogRecord]) -> set[int]:
    return {record.levelno for record in records}


def test_kafka_python_logs_its_attempts_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with unreachable("kafka-python"):
        poll(lambda: [line.msg for line in of_client(caplog)].count(REFUSED) > 3, "attempts", 60)

    assert levels(of_client(caplog)) == {logging.DEBUG}


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_an_outage_has_few_lines(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    """The reason at once, and the number of lost messages when it is closed."""
    caplog.set_level(logging.INFO)
    with unreachable(driver) as notifier:
        notifier.notify("job-1", "created", NOW)
        poll(lambda: bool(caplog.records), "the reason", 60)

    assert {record.name for record in caplog.records} == {"bridge"}
    assert "Kafka refuses connections" in caplog.messages[0] and len(caplog.messages) <= 2
    assert notifier.lost == 1


def test_clients_of_the_host_log_as_before(caplog: pytest.LogCaptureFixture) -> None:
    with unreachable("kafka-python"):
        pass
    caplog.clear()
    before = process_state()
    at_debug(KafkaAdminClient)
    with pytest.raises(KafkaError):
        KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{free_port()}", bootstrap_timeout_ms=200)

    assert logging.ERROR in levels(of_client(caplog))
    assert changes(before, process_state()) == []
