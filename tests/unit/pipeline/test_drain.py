"""The drain of a session: it settles the messages in flight and reads nothing."""

from __future__ import annotations

import pytest

from bridge.errors import BridgeError, Fenced, NotPermitted, Retryable
from tests.support.factories import at
from tests.support.in_memory_bridge import filled


def test_a_drain_settles_and_reads_nothing() -> None:
    bridge = filled(20)
    bridge.turn(2)
    reads, sent = bridge.reads, bridge.sink.sent
    bridge.wake.meanwhile = lambda: bridge.sink.acknowledge(1)

    bridge.loop.drain(20.0)

    assert bridge.progress.unacknowledged == 0
    assert bridge.reads == reads
    assert bridge.sink.sent == sent == len(bridge.delivered())
    assert bridge.position == at(sent)


def test_a_drain_ends_at_its_deadline() -> None:
    bridge = filled(2)
    bridge.turn(2)
    bridge.sink.acknowledge(1)
    before = bridge.clock.monotonic()

    bridge.loop.drain(5.0)

    assert bridge.progress.unacknowledged == 1
    assert 5.0 <= bridge.clock.monotonic() - before < 6.0
    assert bridge.position == at(1)


def test_a_drain_ends_with_a_broken_sink() -> None:
    bridge = filled(2)
    bridge.turn(2)
    bridge.sink.broken = True
    before = bridge.clock.monotonic()

    bridge.loop.drain(20.0)

    assert bridge.progress.unacknowledged == 2
    assert bridge.clock.monotonic() == before


@pytest.mark.parametrize(
    "failure",
    [Retryable("the store is unreachable"), NotPermitted("the store refuses us")],
    ids=["unreachable", "refused"],
)
def test_a_drain_continues_without_the_store(failure: BridgeError) -> None:
    """The position stays in memory, for the next session."""
    bridge = filled(2)
    bridge.turn(2)
    bridge.clock.advance(1.0)
    bridge.sink.acknowledge()
    bridge.store.failure = failure

    bridge.loop.drain(20.0)

    assert bridge.progress.unacknowledged == 0
    assert bridge.position == at(2)


def test_a_drain_ends_when_another_bridge_took_over() -> None:
    bridge = filled(2)
    bridge.turn(2)
    bridge.clock.advance(1.0)
    bridge.sink.acknowledge()
    bridge.shelf.owner = None

    with pytest.raises(Fenced):
        bridge.loop.drain(20.0)
