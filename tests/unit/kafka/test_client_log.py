"""The latest warning of a Kafka client."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from bridge.kafka.client_log import LatestWarning
from bridge.kafka.librdkafka.client import ClientLogger, make_latest_warning
from tests.support.fakes import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClock]:
    clock = FakeClock()
    monkeypatch.setattr("bridge.kafka.client_log.time", clock)
    yield clock


def test_the_latest_warning_expires(clock: FakeClock) -> None:
    latest = LatestWarning("useless")
    for text in ("first", "second", "this is useless"):
        latest.note(text)

    assert latest.recent() == "second"
    clock.advance(31)
    assert latest.recent() == ""


def test_a_vague_warning_does_not_hide_its_cause(clock: FakeClock) -> None:
    latest = LatestWarning(vague="timed out")
    latest.note("it timed out")
    assert latest.recent() == "it timed out"

    latest.note("the password is wrong")
    latest.note("it timed out")

    assert latest.recent() == "the password is wrong"


def test_a_warning_is_one_short_line() -> None:
    latest = LatestWarning()
    latest.note("word\n" * 1000)

    assert "\n" not in latest.recent() and len(latest.recent()) <= 300


def test_the_logs_of_two_librdkafka_clients_are_separate(caplog: pytest.LogCaptureFixture) -> None:
    first, second = make_latest_warning(), make_latest_warning()

    ClientLogger(first).log(logging.ERROR, "FAIL: broker one is down")
    ClientLogger(second).log(logging.WARNING, "FAIL: broker two is down")
    ClientLogger(second).log(logging.WARNING, "CONFWARN: a setting has no effect")
    ClientLogger(second).log(logging.INFO, "connected")

    assert first.recent() == "FAIL: broker one is down"
    assert second.recent() == "FAIL: broker two is down"
    assert not [record for record in caplog.records if record.name == "librdkafka"]
