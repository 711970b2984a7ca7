"""The notifier without Kafka: where it works, the arguments it rejects, and its timeouts."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import math
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bridge import AsyncNotifier, Notifier
from bridge.demo.servers.process import free_port
from bridge.errors import Misconfigured, Retryable
from bridge.kafka.drivers import driver_of
from bridge.model.transition import Transition
from tests.support.factories import settings
from tests.support.process_state import changes, process_state

NOW = datetime(2026, 3, 2, 20, 31, 2, 511_273, tzinfo=timezone.utc)
GOOD: dict[str, Any] = {"job_id": "job-1", "state": "created", "time": NOW}
DRIVERS = ("kafka-python", "librdkafka")
MODES = ("synchronous", "fire-and-forget")
SECRET = "canary-Yw3k"
#: For a busy machine.
SLACK_SECONDS = 3.0


def nowhere(**changed: Any) -> Notifier:
    """A notifier without a Kafka."""
    return Notifier(f"127.0.0.1:{free_port()}", **{"timeout_seconds": 0.2, **changed})


@pytest.mark.parametrize("mode", MODES)
def test_it_does_not_send_before_it_is_entered(mode: str) -> None:
    notifier = nowhere(mode=mode, timeout_seconds=60)
    began = time.monotonic()

    with pytest.raises(RuntimeError, match="use it inside a with block"):
        notifier.notify(**GOOD)

    assert time.monotonic() - began < 1


def test_it_does_not_send_after_it_was_left() -> None:
    with nowhere(mode="fire-and-forget") as notifier:
        pass

    with pytest.raises(RuntimeError, match="use it inside a with block"):
        notifier.notify(**GOOD)
    assert notifier.lost == 0


def test_a_notifier_not_entered_sends_nothing() -> None:
    notifier = nowhere()
    with pytest.raises(Retryable), notifier:
        pass

    with pytest.raises(RuntimeError, match="use it inside a with block"):
        notifier.notify(**GOOD)


def test_it_cannot_be_entered_twice() -> None:
    with (
        nowhere(mode="fire-and-forget") as notifier,
        pytest.raises(RuntimeError, match="make a new Notifier"),
        notifier,
    ):
        pass
    with pytest.raises(RuntimeError, match="make a new Notifier"), notifier:
        pass


def test_it_does_not_send_in_a_forked_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread does not exist there: nothing would be sent, without an error."""
    with nowhere(mode="fire-and-forget") as notifier:
        monkeypatch.setattr("bridge.notifier.base.os.getpid", lambda: 1)
        with pytest.raises(RuntimeError, match="start a Notifier in each process"):
            notifier.notify("job-1", "complete", datetime.now(timezone.utc))
        monkeypatch.undo()


@pytest.mark.parametrize("driver", DRIVERS)
def test_entering_waits_for_kafka_until_the_timeout(driver: str) -> None:
    began = time.monotonic()

    with pytest.raises(
        Retryable,
        match=r"Kafka is unreachable.* 0\.2 s\. Nothing was sent\. Check bootstrap_servers",
    ) as raised:
        nowhere(driver=driver).__enter__()

    assert time.monotonic() - began < 1 + SLACK_SECONDS
    assert "by itself" not in str(raised.value)


@pytest.mark.parametrize("driver", DRIVERS)
def test_leaving_fire_and_forget_counts_unsent_messages(driver: str) -> None:
    with nowhere(driver=driver, mode="fire-and-forget") as notifier:
        notifier.notify(**GOOD)
        began = time.monotonic()

    assert time.monotonic() - began < 1 + SLACK_SECONDS
    assert notifier.lost == 1


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("timeout_seconds", 0, ValueError),
        ("timeout_seconds", -1.5, ValueError),
        ("timeout_seconds", math.nan, ValueError),
        ("timeout_seconds", math.inf, ValueError),
        ("timeout_seconds", "35", TypeError),
        ("timeout_seconds", None, TypeError),
        ("timeout_seconds", True, TypeError),
        ("window_messages", 0, ValueError),
        ("window_messages", -1, ValueError),
        ("window_messages", 1.5, TypeError),
        ("window_messages", True, TypeError),
        ("source", None, TypeError),
        ("source", "\ud800", ValueError),
        ("bogus", 1, TypeError),
    ],
)
def test_a_wrong_argument_is_named(name: str, value: object, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=name):
        Notifier(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("job_id", "", ValueError),
        ("job_id", None, TypeError),
        ("job_id", b"job-1", TypeError),
        ("state", "", ValueError),
        ("state", 5, TypeError),
        ("job_id", "\ud800", ValueError),
        ("state", "queued\udc00", ValueError),
        ("trans_id", "\udcff", ValueError),
        ("trans_id", None, TypeError),
        ("trans_id", 7, TypeError),
        ("time", "2026-03-02", TypeError),
        ("time", NOW.replace(tzinfo=None), ValueError),
        ("time", datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), ValueError),
    ],
)
def test_a_wrong_part_of_a_change_is_named(name: str, value: object, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=f"^{name} "):
        nowhere().notify(**{**GOOD, name: value})
    with pytest.raises(kind, match=f"^{name} "):
        asyncio.run(AsyncNotifier("127.0.0.1:1").notify(**{**GOOD, name: value}))


def test_only_a_whole_transition_is_sent() -> None:
    with pytest.raises(TypeError, match="not a Transition"):
        nowhere().send(("job-1", "created"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^trans_id "):
        nowhere().send(Transition("job-1", "created", "2026-03-02T20:31:02+00:00", None))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^job_id is '\\ud800', which UTF-8 cannot encode"):
        nowhere().send(Transition("\ud800", "created", "2026-03-02T20:31:02+00:00", "t-1"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"topic": "a:b"}, r"topic: Illegal character ':'"),
        ({"driver": "java"}, r"driver: .*not 'java'"),
        ({"bootstrap_servers": 5}, r"bootstrap_servers: .*not 5"),
        (
            {"bootstrap_servers": "kafka.example.org"},
            r"bootstrap_servers: server 1 of the list is not HOST:PORT",
        ),
        (
            {"security_protocol": "SASL_SSL"},
            r" security_protocol = SASL_SSL needs sasl_username and sasl_password",
        ),
        ({"sasl_password": 5}, r"sasl_password: "),
    ],
)
def test_a_wrong_setting_is_named_by_its_keyword(given: dict[str, Any], message: str) -> None:
    with pytest.raises(Misconfigured, match=message) as raised:
        Notifier(**{**given, "ssl_password": SECRET})

    assert "--kafka" not in str(raised.value) and SECRET not in str(raised.value)


def test_any_topic_of_kafka_is_accepted() -> None:
    assert Notifier(topic="kbase.job_states")._message_format.topic == "kbase.job_states"


def test_space_around_the_topic_is_removed() -> None:
    assert Notifier(topic=" job-transitions ")._message_format.topic == "job-transitions"


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("mode", MODES)
def test_its_process_stays_as_it_was(mode: str, driver: str) -> None:
    """Classes of the Kafka clients, loggers and globals, also while it is open."""
    for name in DRIVERS:  # all modules are imported
        driver_of(settings(kafka__topic="jobs", kafka__driver=name))
    with contextlib.suppress(Retryable), nowhere(driver=driver):
        pass
    before = process_state()

    with contextlib.suppress(Retryable), nowhere(mode=mode, driver=driver) as notifier:
        notifier.notify(**GOOD)
        assert changes(before, process_state()) == []
    gc.collect()

    assert changes(before, process_state()) == []


def test_a_changed_class_and_logger_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks the test above."""
    before = process_state()
    monkeypatch.setattr("kafka.net.transport.KafkaTCPTransport.write", lambda *_: None)
    monkeypatch.setattr("kafka.producer.kafka.log", None)
    monkeypatch.setattr(logging.getLogger("kafka"), "handlers", [logging.NullHandler()])

    found = changes(before, process_state())

    assert "kafka.net.transport.KafkaTCPTransport.write" in found
    assert {"kafka.producer.kafka.log", "logger kafka"} <= set(found)
