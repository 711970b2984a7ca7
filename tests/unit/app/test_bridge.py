"""What the service does beside the loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bridge.app.bridge import PERMISSION_PATIENCE_SECONDS, Service
from bridge.errors import Fenced, NotPermitted, ResumePointLost
from bridge.model.policy import Backoff
from bridge.observability.status import HANG_SECONDS
from tests.support.factories import settings
from tests.support.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def service(clock: FakeClock) -> Iterator[Service]:
    made = Service(settings(http__port=0), clock)
    yield made
    made._executor.shutdown()
    made._source.close()
    made._client.close()


def test_a_bridge_that_waits_is_alive(
    service: Service, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = threading.Event()
    service.status.state = "recovering"
    clock.advance(HANG_SECONDS)
    assert not service.status.alive(), "nothing turned and nothing waits"
    monkeypatch.setattr(service._store, "renew", kept.set)
    monkeypatch.setattr(type(service._store), "epoch", 1)

    service._waiting.do(lambda: kept.wait(20))

    assert service.status.alive()


def test_a_history_that_is_lost_again_and_again_is_tried_less_and_less_often(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try makes a producer, stores a gap and publishes what is around it."""
    lost = ResumePointLost("the oplog no longer reaches back", "", "")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 5:
            service.stop()

    monkeypatch.setattr(service, "_run_once", lambda: (_ for _ in ()).throw(lost))
    monkeypatch.setattr(service, "_lose", lambda _: None)
    monkeypatch.setattr(service._waiting, "wait", wait)

    assert service._run_until_stopped() == 0
    assert waits == [Backoff().wait(tries) for tries in range(1, 6)]


def test_who_finds_another_owner_when_it_stores_for_the_last_time_says_so(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would end like one that could not store, and be started again."""
    taken = Fenced("another bridge took over")
    monkeypatch.setattr(service, "_run_until_stopped", lambda: 0)
    monkeypatch.setattr(service, "_close", lambda: taken)

    with pytest.raises(Fenced):
        service.run()

    assert service._counters.fenced == 1


def test_a_right_that_is_refused_again_right_after_each_start_is_not_waited_for_for_ever(
    service: Service, clock: FakeClock
) -> None:
    """A run that was ready for a moment takes nothing back: it is the first message that is refused."""
    refused = NotPermitted("Kafka refuses this user")
    with pytest.raises(NotPermitted):
        for _ in range(100):
            service._is_ready()
            clock.advance(1.0)
            service._excuse(refused)
            clock.advance(29.0)

    assert clock.monotonic() >= PERMISSION_PATIENCE_SECONDS
    service._ready_since = clock.monotonic() - 3600
    service._excuse(refused)
