"""Publishing once, by hand: what is waited for is said."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest

from bridge.model.message import MessageFormat
from bridge.model.policy import DeadLetterBrake
from bridge.model.transition import REPLAY, Event
from bridge.model.window import Delivery, Window
from bridge.observability.counters import Counters
from bridge.pipeline.publisher import Publisher
from bridge.pipeline.republisher import Republisher
from tests.support.factories import at, transition
from tests.support.fakes import FakeBroker, FakeClock, FakeSink, FakeWake


class Slow(FakeSink):
    """Acknowledges when it was asked often enough; each time half a minute goes by."""

    def __init__(self, clock: FakeClock, wake: threading.Event) -> None:
        super().__init__(FakeBroker("jobs"))
        self._clock, self._wake, self._asked = clock, wake, 0

    def settled(self) -> list[Delivery]:
        self._asked += 1
        self._clock.advance(16.0)
        self._wake.set()
        if self._asked == 5:
            self.acknowledge(1)
        return super().settled()


def test_what_could_not_be_sent_in_time_is_not_caught_up_with() -> None:
    clock, counters, window = FakeClock(), Counters(), Window(at(0), 10, 10_000)
    sink, sent = FakeSink(FakeBroker("jobs")), []
    publisher = Publisher(
        sink,
        window,
        MessageFormat("jobs", "test", cloudevents=False),
        DeadLetterBrake(1),
        clock,
        counters,
        set_aside_oversize=True,
    )
    resend = Republisher(
        sink,
        publisher,
        window,
        FakeWake(clock),
        FakeWake(clock),
        clock,
        counters,
        drain_seconds=1.0,
        rate=1.0,
    )

    def events() -> Iterator[Event]:
        for number in range(1, 6):
            if number == 3:
                clock.advance(60.0)  # Kafka was away
            yield Event(at(number), (transition(number),), origin=REPLAY)
            sink.acknowledge()
            sent.append(clock.monotonic())

    assert resend.run(events())

    assert len(sent) == 5
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(sent))


def test_that_kafka_takes_nothing_is_said_and_that_it_does_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, wake, counters, window = (
        FakeClock(),
        threading.Event(),
        Counters(),
        Window(at(0), 10, 10_000),
    )
    sink = Slow(clock, wake)
    publisher = Publisher(
        sink,
        window,
        MessageFormat("jobs", "test", cloudevents=False),
        DeadLetterBrake(1),
        clock,
        counters,
        set_aside_oversize=True,
    )
    resend = Republisher(
        sink,
        publisher,
        window,
        wake,
        threading.Event(),
        clock,
        counters,
        drain_seconds=1.0,
        complaint=lambda: "the broker is away",
    )

    with caplog.at_level("INFO", logger="bridge"):
        assert resend.run([Event(at(1), (transition(1),), origin=REPLAY)])

    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "Kafka has not acknowledged anything for 32 s (the broker is away): waiting",
        "Kafka has not acknowledged anything for 64 s (the broker is away): waiting",
        "Kafka acknowledges again after 80.0 s",
    ]
