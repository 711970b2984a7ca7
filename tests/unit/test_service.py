"""What the service does beside the loop."""

from __future__ import annotations

from bridge.service import Service
from bridge.web.status import HANG_SECONDS
from tests.factories import settings
from tests.fakes import FakeClock


def test_a_bridge_that_waits_is_alive() -> None:
    clock = FakeClock()
    service = Service(settings(), clock)
    service.status.state = "recovering"
    clock.advance(HANG_SECONDS)
    assert not service.status.alive(), "nothing turned and nothing waits"

    service._waiting.do(lambda: service._stop.wait(1.0))

    assert service.status.alive()
