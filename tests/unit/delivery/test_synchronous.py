"""Synchronous: each message is acknowledged before the next is sent, or an error names it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bridge.delivery.synchronous import SynchronousSink
from bridge.errors import Fenced, NotPermitted, Retryable, SendFailed
from bridge.model.window import Delivery, Sending
from bridge.pipeline.pulse import Pulse
from tests.support.factories import at, message, transition
from tests.support.fakes import FakeBroker, FakeClock, FakeSink, FakeWake

SECONDS = 35.0
DRAIN_SECONDS = 5.0


class FencingKeeper:
    """Records when the ownership was kept; raises ``Fenced`` once it is lost."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.times: list[float] = []
        self.lost = False

    def keep(self) -> None:
        if self.lost:
            raise Fenced("another bridge took over")
        self.times.append(self._clock.monotonic())


class SynchronousScenario:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.keeper = FencingKeeper(self.clock)
        self.wake = FakeWake(self.clock)
        self.pulse = Pulse(self.clock, self.keeper, wake=self.wake)
        self.broker = FakeBroker("jobs")
        self.kafka = FakeSink(self.broker)
        self.sink = SynchronousSink(
            self.kafka, self.pulse, timeout_seconds=SECONDS, drain_seconds=DRAIN_SECONDS
        )

    def sendings(self, count: int) -> list[Sending]:
        return [
            (message("job-0", b"%d" % number), Delivery(at(number), 1, item=transition(number)))
            for number in range(1, count + 1)
        ]


@pytest.fixture
def scenario() -> SynchronousScenario:
    return SynchronousScenario()


def test_a_message_waits_for_the_one_before(scenario: SynchronousScenario) -> None:
    in_flight = []

    def answer() -> None:
        in_flight.append(scenario.kafka.in_flight)
        scenario.kafka.acknowledge()

    scenario.wake.meanwhile = answer
    sent = scenario.sendings(3)

    scenario.sink.send(sent)

    assert in_flight == [1, 1, 1]
    assert list(scenario.sink.settled()) == [delivery for _, delivery in sent]
    assert list(scenario.sink.settled()) == []


def test_the_ownership_is_kept_while_waiting(scenario: SynchronousScenario) -> None:
    with pytest.raises(SendFailed):
        scenario.sink.send(scenario.sendings(1))

    assert len(scenario.keeper.times) > SECONDS
    assert max(later - earlier for earlier, later in pairwise(scenario.keeper.times)) < 1


def test_a_missed_deadline_names_job_state_and_cause(scenario: SynchronousScenario) -> None:
    started = scenario.clock.monotonic()

    with pytest.raises(
        SendFailed,
        match=r"Job job-0, state download_submitted: .* did not acknowledge it within 35 s",
    ) as raised:
        scenario.sink.send(scenario.sendings(2))

    assert raised.value.exit_code == 75
    assert "the next start sends it again" in raised.value.data
    assert "restart the bridge" in raised.value.todo
    assert scenario.clock.monotonic() - started == pytest.approx(SECONDS, abs=0.5)
    assert scenario.sink.broken
    assert scenario.kafka.sent == 1


@pytest.mark.parametrize(
    "error", [Retryable("the broker is unreachable"), NotPermitted("Kafka refuses this user")]
)
def test_a_failure_is_raised_with_its_cause(
    scenario: SynchronousScenario, error: Retryable | NotPermitted
) -> None:
    scenario.kafka.fail(error)

    with pytest.raises(SendFailed, match=f"job-0.*{error.what}"):
        scenario.sink.send(scenario.sendings(1))

    assert scenario.sink.broken


def test_earlier_acknowledgements_are_settled(scenario: SynchronousScenario) -> None:
    answers = iter([lambda: scenario.kafka.acknowledge()])
    scenario.wake.meanwhile = lambda: next(answers, lambda: None)()
    sent = scenario.sendings(2)

    with pytest.raises(SendFailed, match="job_submitting"):
        scenario.sink.send(sent)

    assert list(scenario.sink.settled()) == [sent[0][1]]


def test_a_lost_ownership_ends_the_wait(scenario: SynchronousScenario) -> None:
    scenario.keeper.lost = True

    with pytest.raises(Fenced):
        scenario.sink.send(scenario.sendings(1))
    assert scenario.sink.broken


def test_a_stop_shortens_the_wait(scenario: SynchronousScenario) -> None:
    scenario.pulse.stop.set()
    started = scenario.clock.monotonic()

    with pytest.raises(SendFailed):
        scenario.sink.send(scenario.sendings(1))

    assert scenario.clock.monotonic() - started == pytest.approx(DRAIN_SECONDS, abs=0.5)
