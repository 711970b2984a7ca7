"""How a bridge stops: clean, unclean, or because another bridge owns its checkpoint."""

from __future__ import annotations

import threading

import pytest

from bridge.app import ownership
from bridge.app.lifecycle import State
from bridge.app.outcome import Outcome
from bridge.errors import (
    Fenced,
    Retryable,
)
from tests.support.bridge_on_fakes import BridgeOnFakes
from tests.support.fakes import FakeStore


@pytest.mark.parametrize(
    ("outcome", "exit_code"),
    [
        (Outcome(), 0),
        (Outcome(stored=False), 75),
        (Outcome(unacknowledged=3), 75),
        (Outcome(lost=1), 75),
    ],
)
def test_an_unclean_stop_has_an_exit_code(outcome: Outcome, exit_code: int) -> None:
    assert outcome.exit_code == exit_code


def test_an_ownership_lost_at_the_end_is_raised(world: BridgeOnFakes) -> None:
    """Else it would end like a bridge that could not store, and be started again."""
    world.log.append()

    def lose_and_stop() -> None:
        world.acknowledge()
        world.shelf.owner = FakeStore(world.shelf)
        world.bridge.request_stop()

    with pytest.raises(Fenced):
        world.run(lose_and_stop)

    assert world.bridge.counters.fenced == 1
    assert world.moves[-2:] == [State.DRAINING, State.STOPPED]
    assert world.client.closed


def test_a_lost_ownership_ends_a_running_bridge(world: BridgeOnFakes) -> None:
    """Messages in flight are not waited for: the new owner sends them again."""
    world.log.append()

    def lose() -> None:
        world.shelf.owner = FakeStore(world.shelf)

    with pytest.raises(Fenced):
        world.run(lose, *[lambda: None] * 100)

    assert world.bridge.counters.fenced == 1
    assert State.DRAINING not in world.moves


def test_an_unstored_position_is_an_unclean_stop(world: BridgeOnFakes) -> None:
    world.log.append()

    def stop_without_store() -> None:
        world.acknowledge()
        world.store.failure = Retryable("the store is unreachable")
        world.bridge.request_stop()

    outcome = world.run(stop_without_store)

    assert outcome == Outcome(stored=False)
    assert world.shelf.saves == []


def test_unacknowledged_messages_are_an_unclean_stop(
    world: BridgeOnFakes, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        world.log.append()

    outcome = world.run(lambda: world.kafka.producer.acknowledge(1), world.bridge.request_stop)

    assert outcome == Outcome(unacknowledged=1)
    assert "stopped with 1 messages that Kafka did not acknowledge: nothing is lost" in caplog.text


@pytest.mark.parametrize("sessions", [0, 1])
def test_a_stop_ends_a_slow_acquisition(
    world: BridgeOnFakes, monkeypatch: pytest.MonkeyPatch, sessions: int
) -> None:
    """A store in Kafka waits for its servers for up to a minute."""
    monkeypatch.setattr(ownership, "_ACQUIRING_SECONDS", 0.01)
    answered = threading.Event()
    renew = world.store.renew

    def hang(*_: object) -> str:
        world.bridge.request_stop()
        answered.wait(30)
        renew()
        return ""

    def fail_session() -> None:
        monkeypatch.setattr(world.store, "renew", hang)
        world.kafka.producer.fail(Retryable("the broker is unreachable"))

    if not sessions:
        monkeypatch.setattr(world.store, "acquire", hang)

    outcome = world.run(*[fail_session] * sessions, *[lambda: None] * 10)

    assert outcome == Outcome(stored=not sessions)
    assert not answered.is_set()
    assert world.moves[-1] == State.STOPPED
    answered.set()
