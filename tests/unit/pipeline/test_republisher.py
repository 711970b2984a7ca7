"""Publishing events once, for a command: its pace, its stop, and what it logs while it waits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from bridge.model.message import MessageFormat
from bridge.model.policy import DeadLetterBrake, stalled
from bridge.model.transition import REPLAY, Event, Poison
from bridge.model.window import Delivery, Window
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.publisher import Publisher
from bridge.pipeline.pulse import Pulse
from bridge.pipeline.republisher import Republisher
from tests.support.factories import at, transition
from tests.support.fakes import FakeBroker, FakeClock, FakeSink, FakeWake

DRAIN_SECONDS = 1.0


class CommandSink(FakeSink):
    """A sink that is its own Kafka client; every look at its answers lasts ``seconds``."""

    def __init__(self, clock: FakeClock, seconds: float = 0.0, looks: int = 0) -> None:
        super().__init__(FakeBroker("jobs", "jobs-dlq"))
        self._clock = clock
        self._seconds = seconds
        #: It acknowledges one message at this look; 0 for never.
        self._looks = looks

    def settled(self) -> list[Delivery]:
        self._clock.advance(self._seconds)
        self._looks -= 1
        if self._looks == 0:
            self.acknowledge(1)
        return super().settled()

    def refused(self) -> bool:
        return False

    def complaint(self) -> str:
        return "the broker is unreachable"


class RepublishScenario:
    """A command that publishes to ``sink`` on fake clocks."""

    def __init__(self, sink: CommandSink, clock: FakeClock, rate: float = 0.0) -> None:
        self.stop = FakeWake(clock)
        self.context = PipelineContext(Pulse(clock, wake=FakeWake(clock), stop=self.stop))
        publisher = Publisher(
            sink,
            Window(at(0), 10, 10_000),
            MessageFormat("jobs", "test", cloudevents=False),
            brake=DeadLetterBrake(1),
            context=self.context,
            dead_letter_oversize=True,
        )
        self.republisher = Republisher(
            publisher, sink, self.context, drain_seconds=DRAIN_SECONDS, rate=rate
        )


def replayed(number: int) -> Event:
    return Event(at(number), (transition(number),), origin=REPLAY)


def test_a_delay_is_not_caught_up() -> None:
    """A burst after an outage of Kafka would exceed the rate that the user asked for."""
    clock = FakeClock()
    sink = CommandSink(clock)
    scenario = RepublishScenario(sink, clock, rate=1.0)
    sent = []

    def events() -> Iterator[Event]:
        for number in range(1, 6):
            if number == 3:
                clock.advance(60.0)  # Kafka was unreachable.
            yield replayed(number)
            sink.acknowledge()
            sent.append(clock.monotonic())

    assert scenario.republisher.run(events())

    assert len(sent) == 5
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(sent))


def test_a_stall_and_its_end_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    sink = CommandSink(clock, seconds=16.0, looks=5)
    scenario = RepublishScenario(sink, clock)

    with caplog.at_level("INFO", logger="bridge"):
        assert scenario.republisher.run([replayed(1)])

    assert [record.getMessage() for record in caplog.records] == [
        f"{stalled(16.0, sink.complaint)}. The command waits",
        f"{stalled(48.0, sink.complaint)}. The command waits",
        "Kafka is acknowledging messages again after 80.8 s",
    ]
    assert "the broker is unreachable" in caplog.text


def test_a_stop_ends_after_the_drain() -> None:
    """Kafka acknowledges nothing: the command waits for ``drain_seconds``, and no longer."""
    clock = FakeClock()
    sink = CommandSink(clock)
    scenario = RepublishScenario(sink, clock)
    wake = scenario.context.pulse.wake
    assert isinstance(wake, FakeWake)
    wake.meanwhile = scenario.context.pulse.request_stop
    started = clock.monotonic()

    assert not scenario.republisher.run([replayed(1)])

    assert DRAIN_SECONDS < clock.monotonic() - started < DRAIN_SECONDS + 1.0
    assert scenario.republisher.window.count == 1


def test_a_stop_leaves_the_rest_unread() -> None:
    """A stop between two events leaves the later ones unread: the caller knows where to resume."""
    clock = FakeClock()
    sink = CommandSink(clock)
    scenario = RepublishScenario(sink, clock, rate=1.0)
    read = []
    advanced: list[int] = []

    def events() -> Iterator[Event]:
        for number in range(1, 9):
            read.append(number)
            yield replayed(number)

    def acknowledge() -> None:
        sink.acknowledge()
        if len(read) == 2:
            scenario.context.pulse.request_stop()

    scenario.stop.meanwhile = acknowledge

    assert not scenario.republisher.run(events(), advanced.append)

    assert read == [1, 2]
    assert sum(advanced) == scenario.republisher.sent == 2
    assert scenario.republisher.window.position == at(2)


def test_dead_letters_do_not_count_as_sent() -> None:
    clock = FakeClock()
    sink = CommandSink(clock)
    scenario = RepublishScenario(sink, clock)
    wake = scenario.context.pulse.wake
    assert isinstance(wake, FakeWake)
    wake.meanwhile = sink.acknowledge
    poison = Poison("the time is missing", "job-1", "created", "", "t-1", 0)
    advanced: list[int] = []

    assert scenario.republisher.run(
        [replayed(1), Event(at(2), (poison,), origin=REPLAY), replayed(3)], advanced.append
    )

    assert (scenario.republisher.sent, scenario.republisher.dead_lettered) == (2, 1)
    assert sum(advanced) == 3
