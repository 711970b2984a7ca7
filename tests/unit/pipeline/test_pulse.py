"""The waits of a bridge: ended by answers and stops, and keeping the ownership meanwhile."""

from __future__ import annotations

import threading

import pytest

from bridge.errors import BridgeError, Fenced, NotPermitted, Retryable
from bridge.pipeline.pulse import PULSE_SECONDS, Pulse
from tests.support.fakes import FakeClock, FakeWake


class FailingKeeper:
    """Counts its calls and raises ``error``, where there is one."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: BridgeError | None = None

    def keep(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error


class PulseScenario:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.keeper = FailingKeeper()
        self.stop = FakeWake(self.clock)
        self.pulse = Pulse(self.clock, self.keeper, wake=FakeWake(self.clock), stop=self.stop)


@pytest.fixture
def scenario() -> PulseScenario:
    return PulseScenario()


def test_a_pause_keeps_the_ownership(scenario: PulseScenario) -> None:
    """And it is a sign of life, however long it is."""
    started = scenario.clock.monotonic()

    scenario.pulse.sleep(30.0)

    assert scenario.clock.monotonic() == started + 30.0
    assert scenario.keeper.calls == 30.0 / PULSE_SECONDS
    assert scenario.pulse.last_beat == scenario.clock.monotonic()


def test_a_stop_ends_a_pause(scenario: PulseScenario) -> None:
    scenario.stop.meanwhile = scenario.pulse.request_stop
    started = scenario.clock.monotonic()

    scenario.pulse.sleep(30.0)

    assert scenario.clock.monotonic() == started + PULSE_SECONDS


def test_an_event_ends_a_pause(scenario: PulseScenario) -> None:
    until = threading.Event()
    scenario.stop.meanwhile = until.set
    started = scenario.clock.monotonic()

    scenario.pulse.sleep(30.0, until=until)

    assert scenario.clock.monotonic() == started + PULSE_SECONDS


@pytest.mark.parametrize("error", [Retryable("unreachable"), NotPermitted("refused")])
def test_a_failing_store_does_not_end_a_pause(scenario: PulseScenario, error: BridgeError) -> None:
    """The lease may outlast it."""
    scenario.keeper.error = error

    scenario.pulse.sleep(1.0)

    assert scenario.keeper.calls == 4


def test_a_lost_ownership_ends_a_pause(scenario: PulseScenario) -> None:
    scenario.keeper.error = Fenced("another bridge took over")

    with pytest.raises(Fenced):
        scenario.pulse.sleep(30.0)


def test_a_wait_is_at_most_a_pulse(scenario: PulseScenario) -> None:
    started = scenario.clock.monotonic()

    scenario.pulse.wait_for_answers(30.0)
    scenario.pulse.wait_for_answers(0.1)

    assert scenario.clock.monotonic() == pytest.approx(started + PULSE_SECONDS + 0.1)


def test_a_stop_wakes(scenario: PulseScenario) -> None:
    scenario.pulse.request_stop()

    assert scenario.pulse.wake.is_set()
    assert scenario.pulse.stop.is_set()


def test_two_pulses_share_no_event(scenario: PulseScenario) -> None:
    """A stop of one bridge does not stop another in the same process."""
    first = Pulse(scenario.clock)
    second = Pulse(scenario.clock)

    first.request_stop()

    assert not second.stop.is_set()
    assert not second.wake.is_set()
