"""A bridge in a background mode that may not remove tags."""

from __future__ import annotations

import pytest

from bridge.app.lifecycle import State
from bridge.app.outcome import Outcome
from bridge.errors import NotPermitted, Retryable
from tests.support.bridge_on_fakes import BridgeOnFakes

REFUSED = NotPermitted("MongoDB refuses this user", part="mongodb")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> BridgeOnFakes:
    return BridgeOnFakes(monkeypatch, delivery__mode="background-transitions")


def test_a_start_without_the_right_ends(world: BridgeOnFakes) -> None:
    world.log.append()
    world.source.tag_failures = [REFUSED]

    with pytest.raises(NotPermitted):
        world.run()

    assert world.trans_ids() == [] and world.kafka.producer.sent == 0


def test_a_withdrawn_right_sends_nothing_more(world: BridgeOnFakes) -> None:
    """The bridge waits, and delivers when the right is back."""

    def withdraw() -> None:
        world.source.tag_failures = [REFUSED] * 3
        world.kafka.producer.fail(Retryable("Kafka is unreachable"))
        world.log.append()

    outcome = world.run(withdraw, lambda: None, world.acknowledge)

    assert outcome == Outcome()
    assert State.WAITING in world.moves and str(REFUSED) in world.reasons
    assert [producer.sent for producer in world.kafka.producers] == [1, 0, 0, 0, 1]
    assert len(world.trans_ids()) == 1
