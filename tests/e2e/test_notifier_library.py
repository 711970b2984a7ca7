"""``bridge.Notifier``: acknowledged, or an error that names the job."""

from __future__ import annotations

import gc
import threading
import time
import uuid
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

import bridge
from bridge import Notifier, SendFailed
from bridge.demo.servers.process import free_port, poll
from bridge.errors import Misconfigured, Retryable
from bridge.kafka.drivers import KafkaDriver, driver_of
from bridge.settings import Settings
from tests.support.command import SECRET
from tests.support.job_writer import GOOD
from tests.support.messages import header, published_states
from tests.support.process_state import changes, process_state
from tests.support.servers.kafka import Kafka

#: For a busy machine; less than the 10 s that the Kafka clients wait by themselves.
SLACK_SECONDS = 8
DRIVERS = ("kafka-python", "librdkafka")
NOW = datetime(2026, 3, 2, 20, 31, 2, 511_273, tzinfo=timezone.utc)


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_library_returns_when_kafka_has_the_message(
    kafka: Kafka, topic: str, driver: str
) -> None:
    with Notifier(kafka.bootstrap, topic, driver=driver, source="my-service") as notifier:
        for number, state in enumerate(GOOD):
            notifier.notify("job-1", state, NOW, f"t-{number}")
            assert published_states(kafka, topic, "job-1") == list(GOOD[: number + 1])

    record = kafka.read(topic)[0]
    assert (
        record.value == b'{"job_id": "job-1", "state": "created", '
        b'"time": "2026-03-02T20:31:02.511000+00:00", "trans_id": "t-0"}'
    )
    assert header(record, "ce_source") == b"my-service" and header(record, "ce_origin") == b"notify"


def test_the_library_needs_no_dead_letter_topic(
    kafka: Kafka, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    alone = f"alone-{uuid.uuid4().hex[:12]}"
    kafka.create_topic(alone)
    with Notifier(kafka.bootstrap, alone, driver=driver) as notifier:
        notifier.notify("job-1", "created", NOW)

    assert published_states(kafka, alone, "job-1") == ["created"]
    assert not [line for line in caplog.messages if "dead-letter" in line]


def test_many_threads_may_notify_at_once(kafka: Kafka, topic: str, driver: str) -> None:
    with Notifier(kafka.bootstrap, topic, driver=driver) as notifier:

        def work(number: int) -> None:
            for state in GOOD:
                notifier.notify(f"job-{number}", state, NOW)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert all(published_states(kafka, topic, f"job-{number}") == list(GOOD) for number in range(8))


def test_a_silent_broker_is_an_error_in_time(kafka: Kafka, topic: str, driver: str) -> None:
    """Sending works again once it answers."""
    with Notifier(kafka.bootstrap, topic, driver=driver, timeout_seconds=5) as notifier:
        notifier.notify("job-1", "created", NOW)
        kafka.pause()
        try:
            error = unanswered(notifier, "running", 5)
            assert (
                "Whether Kafka has the message is unknown, and it is not sent again automatically"
                in error
                and "trans_id" in error
            )
            assert "next start" not in error
        finally:
            kafka.resume()
        notifier.notify("job-1", "complete", NOW)

    assert published_states(kafka, topic, "job-1")[-1] == "complete"


def test_each_message_has_its_own_timeout(kafka: Kafka, topic: str, driver: str) -> None:
    """This holds after a message that was not acknowledged, too."""
    with Notifier(kafka.bootstrap, topic, driver=driver, timeout_seconds=2) as notifier:
        kafka.pause()
        try:
            unanswered(notifier, "created", 2)
            error = unanswered(notifier, "running", 2)
            assert "The message was not sent, and it is not sent later" in error
        finally:
            kafka.resume()

    assert "running" not in published_states(kafka, topic, "job-1")


def unanswered(notifier: Notifier, state: str, seconds: int) -> str:
    """Notify, and return the error that came when the time was over."""
    began = time.monotonic()
    with pytest.raises(
        SendFailed, match=rf"Job job-1, state {state}: .*within {seconds} s"
    ) as raised:
        notifier.notify("job-1", state, NOW)
    assert seconds <= time.monotonic() - began < seconds + SLACK_SECONDS
    return str(raised.value)


def test_fire_and_forget_returns_at_once_counting_losses(
    kafka: Kafka, topic: str, driver: str
) -> None:
    kafka.pause()
    try:
        with Notifier(
            kafka.bootstrap,
            topic,
            mode="fire-and-forget",
            driver=driver,
            window_messages=50,
            timeout_seconds=0.1,
        ) as notifier:
            began = time.monotonic()
            for number in range(200):
                notifier.notify(f"job-{number}", "created", NOW)
            assert time.monotonic() - began < SLACK_SECONDS
            assert notifier.lost == 150
        assert time.monotonic() - began < 2 * SLACK_SECONDS
    finally:
        kafka.resume()
    assert notifier.lost == 200


def test_fire_and_forget_logs_once_and_sends_later(
    kafka: Kafka, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    """The log explains once why nothing arrives."""
    name, tries = f"late-{uuid.uuid4().hex[:12]}", []

    def counting(config: Settings) -> KafkaDriver:
        chosen = driver_of(config)

        def sink(*given: Any) -> Any:
            tries.append(time.monotonic())
            return chosen.sink(*given)

        return replace(chosen, sink=sink)

    monkeypatch.setattr("bridge.notifier.worker.driver_for_host", counting)
    with Notifier(kafka.bootstrap, name, mode="fire-and-forget", driver=driver) as notifier:
        notifier.notify("job-1", "created", NOW)
        poll(lambda: len(tries) > 3, "several tries", 120)
        kafka.create_topic(name)

    (message,) = [line for line in caplog.messages if f"The topic {name} does not exist" in line]
    assert "10000 messages wait" in message and "topics create" in message
    assert notifier.lost == 0 and published_states(kafka, name, "job-1") == ["created"]


def test_a_silent_broker_is_noticed_and_logged(
    kafka: Kafka,
    topic: str,
    driver: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line while Kafka is away; its return is in the counts, and nothing is lost."""
    monkeypatch.setattr("bridge.model.policy.STALL_SECONDS", 2.0)
    with Notifier(kafka.bootstrap, topic, mode="fire-and-forget", driver=driver) as notifier:
        notifier.notify("job-1", "created", NOW)
        poll(lambda: notifier.counts().acknowledged == 1, "the first message", 60)
        kafka.pause()
        try:
            notifier.notify("job-1", "running", NOW)
            poll(lambda: not notifier.counts().connected, "the notice", 60)
            poll(lambda: bool(caplog.messages), "the warning", 60)
        finally:
            kafka.resume()
        poll(lambda: notifier.counts().acknowledged == 2, "the second message", 60)
        assert notifier.counts().connected

    (line,) = caplog.messages
    assert "Kafka has not acknowledged anything for" in line and notifier.lost == 0


def test_fire_and_forget_delivers_when_all_is_well(kafka: Kafka, topic: str, driver: str) -> None:
    with Notifier(kafka.bootstrap, topic, mode="fire-and-forget", driver=driver) as notifier:
        for number in range(200):
            notifier.notify(f"job-{number % 7}", f"s{number}", NOW)

    assert notifier.lost == 0
    assert published_states(kafka, topic, "job-0") == [f"s{number}" for number in range(0, 200, 7)]


@pytest.mark.parametrize("seconds", [1e300, 10**400])
def test_a_timeout_beyond_the_threading_limit_works(
    kafka: Kafka, topic: str, seconds: float
) -> None:
    with Notifier(kafka.bootstrap, topic, timeout_seconds=seconds) as notifier:
        notifier.notify("job-1", "created", NOW)

    assert published_states(kafka, topic, "job-1") == ["created"]


def test_entering_says_what_is_wrong(kafka: Kafka) -> None:
    with (
        pytest.raises(Misconfigured, match="The topic nowhere does not exist"),
        Notifier(kafka.bootstrap, "nowhere"),
    ):
        pass
    with (
        pytest.raises(Retryable, match="refuses connections at"),
        Notifier(f"127.0.0.1:{free_port()}"),
    ):
        pass


def test_bad_arguments_are_one_clear_line() -> None:
    with pytest.raises(Misconfigured, match="neither synchronous nor fire-and-forget"):
        Notifier(mode="sometimes")  # type: ignore[arg-type]
    with pytest.raises(Misconfigured, match="Illegal character ':'") as raised:
        Notifier(topic="a:b", sasl_password=SECRET)
    assert SECRET not in str(raised.value)
    with pytest.raises(ValueError, match="has no zone"):
        Notifier().notify("job-1", "created", NOW.replace(tzinfo=None))


def test_the_package_exports_the_library() -> None:
    assert bridge.Notifier is Notifier
    with pytest.raises(AttributeError, match="nothing"):
        _ = bridge.nothing


def test_the_host_process_stays_as_it_was(kafka: Kafka, topic: str, driver: str) -> None:
    """Classes of the Kafka clients, loggers and globals, also while it is open."""
    with Notifier(kafka.bootstrap, topic, driver=driver) as notifier:
        notifier.notify("job-1", "created", NOW)
    gc.collect()
    before = process_state()

    with Notifier(kafka.bootstrap, topic, driver=driver) as notifier:
        notifier.notify("job-1", "complete", NOW)
        assert changes(before, process_state()) == []
    del notifier
    gc.collect()

    assert changes(before, process_state()) == []
