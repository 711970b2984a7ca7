"""The lines of a start and a stop that wait, and the end of a stop that takes too long."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bridge.app.lifecycle import State
from bridge.app.wait_reporter import CLOSING_SECONDS, WaitReporter
from bridge.errors import Retryable
from bridge.model.window import Delivery, Window
from bridge.pipeline.pulse import Pulse, Waiting
from tests.support.factories import at
from tests.support.fakes import FakeClock

MONGODB = "MongoDB at db:27017 (mongo.uri)"
DRAIN_SECONDS = 20.0


@dataclass
class WatchedBridge:
    """See :class:`bridge.app.wait_reporter.Watched`."""

    state: State = State.STARTING
    stops: bool = False
    waiting: Waiting | None = None
    in_flight: Window | None = None
    ended: list[int] = field(default_factory=list)


class WaitScenario:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bridge = WatchedBridge()
        self.reporter = WaitReporter(self.bridge, self.clock, DRAIN_SECONDS)

    def wait_for(self, side: str) -> None:
        self.bridge.waiting = Waiting(side, self.clock.monotonic())

    def pass_seconds(self, seconds: float) -> None:
        """Look four times a second."""
        for _ in range(int(seconds * 4)):
            self.clock.advance(0.25)
            self.reporter.look()


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> WaitScenario:
    caplog.set_level("INFO", "bridge")
    scenario = WaitScenario()
    monkeypatch.setattr("os._exit", scenario.bridge.ended.append)
    return scenario


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_start_names_its_side_once(
    scenario: WaitScenario, caplog: pytest.LogCaptureFixture
) -> None:
    scenario.wait_for(MONGODB)
    scenario.pass_seconds(1.5)
    assert lines(caplog) == []

    scenario.pass_seconds(0.5)
    scenario.pass_seconds(10)

    assert lines(caplog) == [f"starting: waiting for {MONGODB}"]


def test_each_wait_of_a_start_is_reported(
    scenario: WaitScenario, caplog: pytest.LogCaptureFixture
) -> None:
    scenario.wait_for(MONGODB)
    scenario.pass_seconds(2)
    scenario.wait_for("Kafka at k:9092 (kafka.bootstrap_servers)")
    scenario.pass_seconds(2)

    assert lines(caplog)[1:] == ["starting: waiting for Kafka at k:9092 (kafka.bootstrap_servers)"]


@pytest.mark.parametrize("state", [State.STANDBY, State.RUNNING, State.WAITING])
def test_other_states_report_no_wait(
    scenario: WaitScenario, caplog: pytest.LogCaptureFixture, state: State
) -> None:
    scenario.bridge.state = state
    scenario.wait_for(MONGODB)
    scenario.pass_seconds(10)

    assert lines(caplog) == []


def test_a_stop_reports_messages_in_flight(
    scenario: WaitScenario, caplog: pytest.LogCaptureFixture
) -> None:
    """Every three seconds, with the time that is left."""
    scenario.bridge.in_flight = Window(at(0), 100, 1000)
    for number in range(1, 13):
        scenario.bridge.in_flight.admit(Delivery(at(number), 1, sent=1000.0))
    scenario.bridge.state = State.DRAINING
    scenario.bridge.stops = True

    scenario.pass_seconds(6.5)

    assert lines(caplog) == [
        "stopping: waits for Kafka to acknowledge 12 messages, at most 35 s more",
        "stopping: waits for Kafka to acknowledge 12 messages, at most 32 s more",
    ]


def test_a_quick_stop_reports_nothing(
    scenario: WaitScenario, caplog: pytest.LogCaptureFixture
) -> None:
    scenario.bridge.stops = True
    scenario.pass_seconds(2.5)

    assert lines(caplog) == []


def test_a_stop_has_a_deadline(scenario: WaitScenario, caplog: pytest.LogCaptureFixture) -> None:
    scenario.bridge.state = State.STOPPED
    scenario.bridge.stops = True
    scenario.wait_for(f"{MONGODB} to store the position")
    scenario.pass_seconds(DRAIN_SECONDS + CLOSING_SECONDS)
    assert scenario.bridge.ended == []

    scenario.pass_seconds(0.5)

    assert scenario.bridge.ended[0] == Retryable.exit_code
    last = caplog.records[-1]
    assert f"still waiting for {MONGODB} to store the position" in last.getMessage()
    assert "position not stored. Nothing is lost" in last.getMessage()
    assert last.exit_code == Retryable.exit_code  # type: ignore[attr-defined]


def test_the_deadline_fits_the_documented_time() -> None:
    """``docs/operations/deploy.md`` allows 20 seconds after the messages in flight."""
    assert CLOSING_SECONDS + 2.0 <= 20


def test_an_ended_reporter_ends_nothing(scenario: WaitScenario) -> None:
    with scenario.reporter:
        scenario.bridge.stops = True

    scenario.reporter._thread.join(10)
    assert not scenario.reporter._thread.is_alive()
    assert scenario.bridge.ended == []


def test_waits_are_nested() -> None:
    pulse = Pulse(FakeClock())
    with pulse.waits_for("outer"):
        with pulse.waits_for("inner"):
            assert pulse.waiting is not None and pulse.waiting.side == "inner"
        assert pulse.waiting is not None and pulse.waiting.side == "outer"

    assert pulse.waiting is None
