"""The notifier while Kafka acknowledges nothing: health, log, and calls that were cancelled."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from bridge import AsyncNotifier, Notifier, SendFailed
from bridge.demo.servers.process import poll
from tests.support.fake_driver import FakeDriver, install

NOW = datetime(2026, 3, 2, 20, 31, 2, tzinfo=timezone.utc)
KAFKA: Any = {"bootstrap_servers": "127.0.0.1:1", "topic": "jobs"}
FIRE_AND_FORGET: Any = {**KAFKA, "mode": "fire-and-forget", "timeout_seconds": 0.05}


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """A broker that accepts messages and acknowledges nothing; the stall begins soon."""
    monkeypatch.setattr("bridge.model.policy.STALL_SECONDS", 0.3)
    driver = FakeDriver()
    driver.silent = True
    install(monkeypatch, driver)
    return driver


def kafka_up(notifier: Notifier) -> bool:
    registry = CollectorRegistry()
    registry.register(notifier.collector())
    return 'job_bridge_notifier_kafka_up{topic="jobs"} 1.0' in generate_latest(registry).decode()


@pytest.mark.usefixtures("driver")
def test_a_stall_is_logged_once_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    with Notifier(**FIRE_AND_FORGET) as notifier:
        poll(lambda: notifier.counts().connected, "the producer", 10)
        assert kafka_up(notifier)
        notifier.notify("job-1", "created", NOW)
        poll(lambda: bool(caplog.messages), "the warning", 10)
        assert not kafka_up(notifier)
        notifier.notify("job-2", "created", NOW)
        poll(lambda: notifier.counts().unacknowledged == 2, "the second message", 10)

    first, last = caplog.messages
    assert re.fullmatch(
        r"Kafka has not acknowledged anything for \d+ s \(connection refused\)\. "
        "Up to 10000 messages wait, and the notifier retries by itself",
        first,
    )
    assert last == "The notifier was closed; 2 messages lost so far, as fire-and-forget allows"


def test_a_stall_without_losses_ends_quietly(
    driver: FakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    with Notifier(**{**FIRE_AND_FORGET, "timeout_seconds": 10}) as notifier:
        notifier.notify("job-1", "created", NOW)
        poll(lambda: bool(caplog.messages), "the warning", 10)
        driver.silent = False  # with the next message all are acknowledged
        notifier.notify("job-2", "created", NOW)
        poll(lambda: notifier.counts().acknowledged == 2, "both messages", 10)
        assert kafka_up(notifier)

    assert len(caplog.messages) == 1 and notifier.lost == 0


@pytest.mark.usefixtures("driver")
def test_synchronous_calls_report_a_stall_themselves(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with AsyncNotifier(**KAFKA, timeout_seconds=3) as notifier:
            waiting = asyncio.create_task(notifier.notify("job-1", "created", NOW))
            while notifier.counts().connected:
                await asyncio.sleep(0.01)
            assert not waiting.done()
            with pytest.raises(SendFailed):
                await waiting

    asyncio.run(work())

    assert caplog.messages == []


async def cancelled_calls(notifier: AsyncNotifier, number: int) -> None:
    calls = [asyncio.create_task(notifier.notify("job-1", "created", NOW)) for _ in range(number)]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.usefixtures("driver")
def test_cancelled_calls_are_bounded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages of cancelled calls wait for Kafka; those that fail are counted as lost."""
    monkeypatch.setattr("bridge.model.policy.STALL_SECONDS", 600.0)

    async def work() -> AsyncNotifier:
        async with AsyncNotifier(**KAFKA, window_messages=20, timeout_seconds=0.5) as notifier:
            await cancelled_calls(notifier, 20)
            for number in range(1, 31):
                with pytest.raises(SendFailed, match="20 messages are unacknowledged already"):
                    await notifier.notify("job-2", "created", NOW)
                assert notifier.counts().failed == number
            assert notifier.counts().unacknowledged == 20
            return notifier

    counts = asyncio.run(work()).counts()

    assert (counts.acknowledged, counts.failed, counts.lost) == (0, 30, 20)
    assert "20 messages lost so far, of cancelled calls" in caplog.messages[0]


def test_a_stuck_producer_is_replaced(driver: FakeDriver) -> None:
    """Although every caller whose message it has was cancelled."""

    async def work() -> AsyncNotifier:
        async with AsyncNotifier(**KAFKA, window_messages=20, timeout_seconds=10) as notifier:
            await cancelled_calls(notifier, 20)
            while notifier.counts().unacknowledged == 20:
                with suppress(SendFailed):
                    await asyncio.wait_for(notifier.notify("job-2", "created", NOW), 0.2)
                await asyncio.sleep(0.01)
            driver.silent = False
            await notifier.notify("job-3", "created", NOW)
            return notifier

    counts = asyncio.run(work()).counts()

    assert counts.acknowledged > 0 and counts.lost >= 20


@pytest.mark.usefixtures("driver")
def test_a_message_above_the_window_is_unsent() -> None:
    async def work() -> str:
        async with AsyncNotifier(**KAFKA, window_messages=1, timeout_seconds=0.5) as notifier:
            await cancelled_calls(notifier, 1)
            with pytest.raises(SendFailed) as raised:
                await notifier.notify("job-2", "running", NOW)
            return str(raised.value)

    error = asyncio.run(work())

    assert error.startswith("Job job-2, state running: ")
    assert "The message was not sent, and it is not sent later" in error


def test_notifiers_share_a_registry(driver: FakeDriver) -> None:
    """Each topic has its numbers; two notifiers of a topic are added up."""
    driver.silent = False
    other = Notifier(**{**KAFKA, "topic": "others"})
    with Notifier(**KAFKA) as first, Notifier(**KAFKA) as second:
        registry = CollectorRegistry()
        collector = first.collector(second, other)
        registry.register(collector)
        for notifier in (first, first, second):
            notifier.notify("job-1", "created", NOW)
        text = generate_latest(registry).decode()
        registry.unregister(collector)

    prefix = "job_bridge_notifier_"
    assert f'{prefix}messages_acknowledged_total{{topic="jobs"}} 3.0' in text
    assert f'{prefix}messages_acknowledged_total{{topic="others"}} 0.0' in text
    assert f'{prefix}kafka_up{{topic="jobs"}} 1.0' in text
    assert f'{prefix}kafka_up{{topic="others"}} 0.0' in text
    assert text.count(f"# TYPE {prefix}kafka_up gauge") == 1
    assert generate_latest(registry) == b""
