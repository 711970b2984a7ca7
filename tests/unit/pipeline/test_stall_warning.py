"""The warning that Kafka acknowledges nothing."""

from __future__ import annotations

import pytest

from bridge.model.policy import STALL_SECONDS, stalled
from bridge.model.window import Delivery, Window
from bridge.pipeline.stall_warning import StallWarning
from tests.support.factories import at
from tests.support.fakes import FakeClock


class WarningClient:
    """A Kafka client with a warning."""

    def complaint(self) -> str:
        return "connection refused"


class StallScenario:
    """A bridge with a message in flight."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.window = Window(at(0), 10, 100)
        self.delivery = Delivery(at(1), 1, sent=self.clock.monotonic())
        self.window.admit(self.delivery)
        self.warning = StallWarning(self.clock, "Reading is paused, nothing is lost")

    def look(self, seconds: float) -> None:
        """Look ``seconds`` later."""
        self.clock.advance(seconds)
        self.warning.look(self.window, WarningClient())


def test_a_stall_and_its_end_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    scenario = StallScenario()
    with caplog.at_level("INFO", "bridge"):
        scenario.look(STALL_SECONDS - 1)
        assert caplog.messages == []
        scenario.look(1.0)
        scenario.look(1.0)
        scenario.window.settle([scenario.delivery])
        scenario.window.advance()
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
