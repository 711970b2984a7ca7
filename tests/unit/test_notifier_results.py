"""The notifier on a Kafka in memory: definite failures, losses in the log, life and metrics."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from datetime import datetime, timezone
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import bridge
from bridge import (
    AsyncNotifier,
    MessageTooLarge,
    Misconfigured,
    Notifier,
    Retryable,
    SendFailed,
)
from bridge.demo.servers.process import poll
from bridge.kafka.topics import missing_topic_error
from bridge.notifier.limited_log import LimitedLog
from tests.support.command import ROOT
from tests.support.fake_driver import FakeDriver, install
from tests.support.fakes import FakeClock

NOW = datetime(2026, 3, 2, 20, 31, 2, tzinfo=timezone.utc)
HUGE = "x" * 5_000
KAFKA = {"bootstrap_servers": "127.0.0.1:1", "topic": "jobs"}
FIRE_AND_FORGET: Any = {**KAFKA, "mode": "fire-and-forget"}


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    driver = FakeDriver()
    install(monkeypatch, driver)
    return driver


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_large_message_is_a_definite_failure(driver: FakeDriver) -> None:
    with Notifier(**KAFKA) as notifier:  # type: ignore[arg-type]
        notifier.notify("job-1", "created", NOW)
        with pytest.raises(MessageTooLarge) as raised:
            notifier.notify("job-1", HUGE, NOW)
        notifier.notify("job-2", "created", NOW)

    error = str(raised.value)
    assert "Job job-1" in error and "the topic jobs accepts 1000" in error
    assert "Kafka does not have the message, and sending it again cannot succeed" in error
    assert "unknown" not in error and isinstance(raised.value, SendFailed)
    # Its producer was kept: messages of other callers do not fail with it.
    assert driver.attempts == 1 and driver.states() == ["job-1", "job-2"]


def test_a_large_message_is_lost_alone(
    driver: FakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    with Notifier(**FIRE_AND_FORGET) as notifier:
        notifier.notify("job-1", HUGE, NOW)
        notifier.notify("job-2", "created", NOW)

    assert notifier.lost == 1 and driver.states() == ["job-2"]
    assert "the message has" in warnings(caplog)[0]


def test_losses_are_logged_once_and_counted(
    driver: FakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    """A line at the first loss, and a line with the number when it is closed."""
    driver.failure = Retryable("Kafka refuses connections", part="kafka")
    with Notifier(**FIRE_AND_FORGET, window_messages=5, timeout_seconds=0.05) as notifier:
        driver.attempted.wait(10)
        for number in range(1000):
            notifier.notify(f"job-{number}", "created", NOW)

    assert notifier.lost == 1000
    first, last = warnings(caplog)
    assert "Kafka refuses connections" in first or "unacknowledged already" in first
    assert last.startswith("The notifier was closed; 1000 messages lost so far")


def test_the_log_has_a_line_each_interval(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    log = LimitedLog(clock, 30.0)
    for _ in range(61):
        log.warn("Kafka is unreachable")
        clock.advance(1.0)
    log.conclude("closed")

    assert warnings(caplog) == ["Kafka is unreachable"] * 3


def test_start_and_close_need_no_block(driver: FakeDriver) -> None:
    notifier = Notifier(**KAFKA)  # type: ignore[arg-type]
    notifier.close()  # does nothing before the start
    notifier.start()
    notifier.notify("job-1", "created", NOW)
    notifier.close()
    notifier.close()

    assert driver.states() == ["job-1"]
    with pytest.raises(RuntimeError, match="cannot be started again"):
        notifier.start()
    with pytest.raises(RuntimeError, match="is not open"):
        notifier.notify("job-1", "complete", NOW)


def test_the_async_form_sends_many_at_once(driver: FakeDriver) -> None:
    async def work() -> None:
        async with AsyncNotifier(**KAFKA) as notifier:  # type: ignore[arg-type]
            calls = (notifier.notify(f"job-{number}", "created", NOW) for number in range(200))
            await asyncio.gather(*calls)
            with pytest.raises(MessageTooLarge):
                await notifier.notify("job-1", HUGE, NOW)
            assert notifier.counts().acknowledged == 200

    # Less than the timeout: the answers wake the event loop.
    asyncio.run(asyncio.wait_for(work(), 20))

    assert len(driver.states()) == 200


def test_the_async_form_does_not_block(driver: FakeDriver) -> None:
    """The event loop turns while a message waits, and the timeout is an error."""
    driver.silent = True

    async def work() -> None:
        async with AsyncNotifier(**KAFKA, timeout_seconds=0.5) as notifier:  # type: ignore[arg-type]
            waiting = asyncio.create_task(notifier.notify("job-1", "created", NOW))
            turns = 0
            while not waiting.done():
                await asyncio.sleep(0.01)
                turns += 1
            with pytest.raises(SendFailed, match=r"within 0\.5 s"):
                await waiting
            assert turns > 5

    asyncio.run(work())


def test_the_async_form_refuses_without_kafka(driver: FakeDriver) -> None:
    driver.failure = Retryable("Kafka refuses connections", part="kafka")

    async def work() -> None:
        with pytest.raises(Retryable, match="Nothing was sent"):
            await AsyncNotifier(**KAFKA).start()  # type: ignore[arg-type]

    asyncio.run(work())


def test_advice_names_the_argument(driver: FakeDriver) -> None:
    """Not the setting of a bridge."""
    driver.failure = missing_topic_error("jobs")

    with pytest.raises(Misconfigured) as raised:
        Notifier(**KAFKA).start()  # type: ignore[arg-type]

    assert "set topic" in str(raised.value) and "kafka." not in str(raised.value)


def test_metrics_are_in_the_registry_of_the_host(driver: FakeDriver) -> None:
    registry = CollectorRegistry()
    with Notifier(**KAFKA) as notifier:  # type: ignore[arg-type]
        registry.register(notifier.collector())
        notifier.notify("job-1", "created", NOW)
        with pytest.raises(MessageTooLarge):
            notifier.notify("job-1", HUGE, NOW)
        open_text = generate_latest(registry).decode()
    poll(lambda: not notifier.counts().connected, "the producer is closed", 10)
    closed_text = generate_latest(registry).decode()

    prefix = "job_bridge_notifier_"
    assert f'{prefix}messages_acknowledged_total{{topic="jobs"}} 1.0' in open_text
    assert f'{prefix}messages_failed_total{{topic="jobs"}} 1.0' in open_text
    assert f'{prefix}messages_lost_total{{topic="jobs"}} 0.0' in open_text
    assert f'{prefix}unacknowledged_messages{{topic="jobs"}} 0.0' in open_text
    assert f'{prefix}kafka_up{{topic="jobs"}} 1.0' in open_text
    assert f'{prefix}kafka_up{{topic="jobs"}} 0.0' in closed_text


def test_the_package_exports_what_it_names() -> None:
    assert all(hasattr(bridge, name) for name in bridge.__all__)


@pytest.mark.parametrize(
    ("use", "clients"),
    [
        ("bridge.Notifier, bridge.AsyncNotifier", set()),
        (
            "with bridge.Notifier('127.0.0.1:1', mode='fire-and-forget', driver='librdkafka',"
            " timeout_seconds=0.01): pass",
            {"confluent_kafka"},
        ),
    ],
    ids=["imported", "used"],
)
def test_it_loads_only_what_it_needs(use: str, clients: set[str]) -> None:
    """No client of MongoDB, no command line, no metrics, and no Kafka client before it is used."""
    program = f"import sys, bridge\n{use}\nprint(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    loaded = {name.partition(".")[0] for name in ended.stdout.split()}
    optional = {"pymongo", "bson", "click", "prometheus_client", "kafka", "confluent_kafka"}
    assert loaded & optional == clients
