"""Fire and forget: the loop never waits for Kafka, and lost messages are counted."""

from __future__ import annotations

import pytest

from bridge.clock import Clock
from bridge.delivery.fire_and_forget import FireAndForgetSink, Losses
from bridge.errors import Retryable
from bridge.model.transition import Poison
from bridge.model.window import Sending, Window
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.pulse import Pulse
from tests.support.factories import at, delivery, message, transition
from tests.support.fakes import FakeBroker, FakeClock, FakeSink, FakeWake

ROOM = 3


class RecordingKeeper:
    """Records when the ownership of the checkpoint was kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.times: list[float] = []

    def keep(self) -> None:
        self.times.append(self._clock.monotonic())


class FireAndForgetScenario:
    """A sink with room for three messages in flight."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.keeper = RecordingKeeper(self.clock)
        self.wake = FakeWake(self.clock)
        self.context = PipelineContext(Pulse(self.clock, self.keeper, wake=self.wake))
        self.counters = self.context.counters
        self.broker = FakeBroker("jobs")
        self.kafka = FakeSink(self.broker)
        self.sink = FireAndForgetSink(
            self.kafka, Window(at(0), ROOM, 10**9), self.context, losses=Losses()
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
        return [message.value for message in self.broker.messages("jobs")]


@pytest.fixture
def scenario() -> FireAndForgetScenario:
    return FireAndForgetScenario()


def test_messages_settle_before_kafka_acknowledges(scenario: FireAndForgetScenario) -> None:
    sent = scenario.send(2)

    assert list(scenario.sink.settled()) == [delivered for _, delivered in sent]
    assert list(scenario.sink.settled()) == []
    assert scenario.arrived == []


def test_messages_beyond_the_window_are_lost(scenario: FireAndForgetScenario) -> None:
    sent = scenario.send(ROOM + 2)

    assert list(scenario.sink.settled()) == [delivered for _, delivered in sent]
    assert scenario.counters.lost == 2
    scenario.kafka.acknowledge()
    assert scenario.arrived == [b"1", b"2", b"3"]


def test_an_acknowledgement_makes_room(scenario: FireAndForgetScenario) -> None:
    scenario.send(ROOM)
    scenario.kafka.acknowledge()

    scenario.send(ROOM)
    scenario.kafka.acknowledge()

    assert scenario.counters.lost == 0
    assert scenario.arrived == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_a_failure_loses_the_messages_in_flight(scenario: FireAndForgetScenario) -> None:
    sent = scenario.send(2)
    scenario.kafka.fail(Retryable("the broker is unreachable"))

    with pytest.raises(Retryable):
        scenario.sink.settled()

    assert scenario.counters.lost == 2
    assert scenario.sink.broken
    # They are settled all the same: the position moves past them.
    assert list(scenario.sink.settled()) == [delivered for _, delivered in sent]


def test_a_drain_waits_and_then_loses(scenario: FireAndForgetScenario) -> None:
    scenario.send(2)
    scenario.wake.meanwhile = lambda: scenario.kafka.acknowledge(1)

    scenario.sink.drain(10.0)

    assert scenario.counters.lost == 0
    assert scenario.arrived == [b"1", b"2"]

    scenario.send(2)
    scenario.wake.meanwhile = lambda: None
    scenario.keeper.times.clear()
    started = scenario.clock.monotonic()
    scenario.sink.drain(10.0)

    assert scenario.counters.lost == 2
    assert len(scenario.keeper.times) > 3, "a standby would take over"
    assert 10.0 <= scenario.clock.monotonic() - started < 11.0


def test_a_loss_and_its_end_are_logged(
    scenario: FireAndForgetScenario, caplog: pytest.LogCaptureFixture
) -> None:
    scenario.send(ROOM + 1)
    assert "messages are lost, as fire-and-forget allows" in caplog.text

    scenario.kafka.acknowledge()
    with caplog.at_level("INFO", "bridge"):
        scenario.sink.settled()
    assert "the window has room for messages again" in caplog.text


def test_an_empty_drain_does_not_wait(scenario: FireAndForgetScenario) -> None:
    started = scenario.clock.monotonic()

    scenario.sink.drain(10.0)

    assert scenario.counters.lost == 0
    assert scenario.clock.monotonic() == started


def test_two_sinks_log_their_losses_apart(caplog: pytest.LogCaptureFixture) -> None:
    """The losses of two bridges in one process do not silence each other."""
    for scenario in (FireAndForgetScenario(), FireAndForgetScenario()):
        scenario.send(ROOM + 1)

    assert sum("messages are lost" in line for line in caplog.messages) == 2


def test_kafka_acknowledges_what_pages_show(scenario: FireAndForgetScenario) -> None:
    """The client's deliveries have the transition and the dead letter of those given."""
    given = delivery(1)
    given.item, given.letter = transition(1), Poison("too large")
    scenario.sink.send([(message(), given)])

    scenario.kafka.acknowledge()
    (acknowledged,) = scenario.kafka.settled()
    assert (acknowledged.item, acknowledged.letter) == (given.item, given.letter)
