"""The warning that Kafka acknowledges nothing."""

from __future__ import annotations

import math

import pytest

from bridge.errors import Stalled
from bridge.model.policy import STALL_SECONDS, stalled
from bridge.model.window import Delivery, Window
from bridge.pipeline.stall_warning import REFUSED_SECONDS, REPLACE_SECONDS, StallWarning
from tests.support.factories import at, transition
from tests.support.fakes import FakeClock


class WarningClient:
    """A Kafka client with a warning."""

    def __init__(self, *, refused: bool = False) -> None:
        self._refused = refused

    def complaint(self) -> str:
        return "connection refused"

    def refused(self) -> bool:
        return self._refused


class StallScenario:
    """A bridge with a message in flight."""

    def __init__(self, replace_seconds: float = math.inf) -> None:
        self.clock = FakeClock()
        self.client = WarningClient()
        self.warning = StallWarning(
            self.clock, "Reading is paused, nothing is lost", replace_seconds=replace_seconds
        )
        self.send()

    def send(self) -> None:
        """Send the message with a new session."""
        self.window = Window(at(0), 10, 100)
        self.delivery = Delivery(at(1), 1, sent=self.clock.monotonic(), item=transition(1))
        self.window.admit(self.delivery)

    def acknowledge(self) -> None:
        self.window.settle([self.delivery])
        self.window.advance()

    def look(self, seconds: float) -> None:
        """Look ``seconds`` later."""
        self.clock.advance(seconds)
        self.warning.look(self.window, self.client)


def test_a_stall_and_its_end_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    scenario = StallScenario()
    with caplog.at_level("INFO", "bridge"):
        scenario.look(STALL_SECONDS - 1)
        assert caplog.messages == []
        scenario.look(1.0)
        scenario.look(1.0)
        scenario.acknowledge()
        scenario.look(1.0)
        scenario.look(60.0)

    trouble = stalled(10.0, WarningClient().complaint)
    assert caplog.messages == [
        f"{trouble}. Reading is paused, nothing is lost",
        "Kafka is acknowledging messages again after 12.0 s",
    ]


def test_the_stalls_of_two_bridges_are_apart(caplog: pytest.LogCaptureFixture) -> None:
    """Two bridges in one process do not silence each other."""
    for scenario in (StallScenario(), StallScenario()):
        scenario.look(STALL_SECONDS + 1)

    assert len(caplog.messages) == 2


def test_a_stuck_client_is_replaced_after_a_minute() -> None:
    scenario = StallScenario(REPLACE_SECONDS)
    scenario.look(REPLACE_SECONDS - 1)

    with pytest.raises(Stalled) as raised:
        scenario.look(1.0)

    assert raised.value.what == stalled(60.0, WarningClient().complaint)
    assert "Nothing is lost" in raised.value.data
    assert "kafka.bootstrap_servers" in raised.value.todo
    assert raised.value.part == "kafka"


def test_refused_credentials_replace_a_client_sooner() -> None:
    """A new client reads a rotated password or certificate again."""
    scenario = StallScenario(REPLACE_SECONDS)
    scenario.client = WarningClient(refused=True)
    scenario.look(REFUSED_SECONDS - 1)

    with pytest.raises(Stalled, match="connection refused"):
        scenario.look(1.0)


def test_each_new_client_has_a_minute() -> None:
    scenario = StallScenario(REPLACE_SECONDS)
    for _ in range(3):
        with pytest.raises(Stalled):
            scenario.look(REPLACE_SECONDS)
        scenario.send()
        scenario.look(REPLACE_SECONDS - 1)


def test_a_command_waits_for_its_client() -> None:
    """It has no session that could begin again."""
    scenario = StallScenario()
    scenario.client = WarningClient(refused=True)

    scenario.look(3600.0)


def test_a_new_client_does_not_end_a_stall(caplog: pytest.LogCaptureFixture) -> None:
    """Only an acknowledgement does: until then a line every 30 seconds at most."""
    scenario = StallScenario(REPLACE_SECONDS)
    with caplog.at_level("INFO", "bridge"):
        for _ in range(5):
            with pytest.raises(Stalled):
                for _ in range(60):
                    scenario.look(1.0)
            scenario.send()
        scenario.look(1.0)
        assert all("has not acknowledged anything for" in line for line in caplog.messages)
        assert len(caplog.messages) <= 300 / 30
        scenario.acknowledge()
        scenario.look(1.0)

    assert caplog.messages[-1] == "Kafka is acknowledging messages again after 302.0 s"
