"""Fire and forget: nothing waits for Kafka, and what is lost is counted."""

from __future__ import annotations

import threading

import pytest

from bridge.delivery.fire_and_forget import FireAndForgetSink
from bridge.errors import Retryable
from bridge.model.window import Sending, Window
from bridge.observability.counters import Counters
from tests.support.factories import at, delivery, message
from tests.support.fakes import FakeBroker, FakeClock, FakeSink, FakeWake

ROOM = 3


class Desk:
    def __init__(self) -> None:
        self.clock, self.counters = FakeClock(), Counters()
        self.broker = FakeBroker("jobs")
        self.kafka = FakeSink(self.broker)
        self.sink = FireAndForgetSink(
            self.kafka, Window(at(0), ROOM, 10**9), self.clock, self.counters
        )
        self._next = 0

    def send(self, count: int) -> list[Sending]:
        sent = []
        for _ in range(count):
            self._next += 1
            sent.append((message("job-0", b"%d" % self._next), delivery(self._next)))
        self.sink.send(sent)
        return sent

    @property
    def arrived(self) -> list[bytes]:
        return [one.value for one in self.broker.messages("jobs")]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_what_was_handed_over_is_settled_before_kafka_answers(desk: Desk) -> None:
    sent = desk.send(2)

    assert list(desk.sink.settled()) == [one for _, one in sent]
    assert list(desk.sink.settled()) == []
    assert desk.arrived == []


def test_what_finds_no_room_is_lost_and_counted_and_settled_too(desk: Desk) -> None:
    sent = desk.send(ROOM + 2)

    assert list(desk.sink.settled()) == [one for _, one in sent]
    assert desk.counters.lost == 2
    desk.kafka.acknowledge()
    assert desk.arrived == [b"1", b"2", b"3"]


def test_an_answer_makes_room(desk: Desk) -> None:
    desk.send(ROOM)
    desk.kafka.acknowledge()

    desk.send(ROOM)
    desk.kafka.acknowledge()

    assert desk.counters.lost == 0
    assert desk.arrived == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_a_failure_loses_what_is_in_flight_and_is_raised_once_counted(desk: Desk) -> None:
    sent = desk.send(2)
    desk.kafka.fail(Retryable("the broker is gone"))

    with pytest.raises(Retryable):
        desk.sink.settled()

    assert desk.counters.lost == 2
    assert desk.sink.broken
    # They got their final answer all the same: the position moves past them.
    assert list(desk.sink.settled()) == [one for _, one in sent]


def test_a_stop_waits_for_answers_and_loses_what_has_none(desk: Desk) -> None:
    desk.send(2)
    wake = FakeWake(desk.clock)
    wake.meanwhile = lambda: desk.kafka.acknowledge(1)

    desk.sink.drain(10.0, wake)

    assert desk.counters.lost == 0
    assert desk.arrived == [b"1", b"2"]

    desk.send(2)
    began = desk.clock.monotonic()
    kept: list[float] = []
    desk.sink.drain(10.0, FakeWake(desk.clock), lambda: kept.append(desk.clock.monotonic()))

    assert desk.counters.lost == 2
    assert len(kept) > 3, "a stand-in would take it for gone"
    assert 10.0 <= desk.clock.monotonic() - began < 11.0


def test_a_loss_is_logged_and_so_is_its_end(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.send(ROOM + 1)
    assert "messages are lost, as fire-and-forget allows" in caplog.text

    desk.kafka.acknowledge()
    with caplog.at_level("INFO", "bridge"):
        desk.sink.settled()
    assert "there is room for messages again" in caplog.text


def test_a_drain_with_nothing_in_flight_waits_for_nothing(desk: Desk) -> None:
    desk.sink.drain(10.0, threading.Event())

    assert desk.counters.lost == 0
