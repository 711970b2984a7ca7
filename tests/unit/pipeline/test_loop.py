"""The loop, with everything around it in memory."""

from __future__ import annotations

import pytest

from bridge.errors import BridgeError, NotPermitted, PoisonEvent, Retryable
from bridge.model.transition import Poison
from tests.support.factories import at, transition
from tests.support.in_memory_bridge import InMemoryBridge, filled


def test_the_position_moves_after_the_acknowledgements() -> None:
    """Transitions are published in their order, and stored once Kafka has acknowledged them."""
    bridge = filled(5)

    bridge.turn(3)
    assert bridge.sink.in_flight == 5
    assert bridge.position == bridge.stored.position == at(0)

    bridge.sink.acknowledge()
    bridge.run(lambda: bridge.clock.advance(1.0), lambda: None)

    assert bridge.values() == bridge.expected()
    assert bridge.position == bridge.stored.position == at(5)
    assert bridge.counters.acked == bridge.counters.sent == bridge.counters.read == 5


def test_a_full_window_stops_the_reading() -> None:
    bridge = filled(10, messages=2)

    bridge.turn(6)

    assert bridge.reads == 1
    assert bridge.sink.sent == 2


def test_a_window_full_of_bytes_stops_too() -> None:
    bridge = filled(10, size=1)

    bridge.turn(6)

    assert (bridge.reads, bridge.sink.sent) == (1, 1)


def test_a_batch_may_exceed_the_window() -> None:
    bridge = filled(9, messages=2, batch=100)

    bridge.run(*[lambda: bridge.sink.acknowledge(1)] * 12)

    assert bridge.values() == bridge.expected()
    assert bridge.position == at(9)
    assert bridge.counters.acked == 9


def test_an_event_settles_with_its_last_transition() -> None:
    bridge = InMemoryBridge()
    bridge.log.append(transition(0), transition(1))
    bridge.turn()

    bridge.sink.acknowledge(1)
    bridge.turn()
    assert bridge.counters.acked == 1
    assert bridge.position == at(0)

    bridge.sink.acknowledge(1)
    bridge.turn()
    assert bridge.position == at(1)


def test_the_position_waits_for_the_slowest_partition() -> None:
    bridge = InMemoryBridge()
    bridge.log.append(transition(0, "a"))
    bridge.log.append(transition(0, "b"))
    bridge.turn()

    bridge.sink.acknowledge_key("b")
    bridge.turn()
    assert (bridge.counters.acked, bridge.position) == (1, at(0))

    bridge.sink.acknowledge_key("a")
    bridge.turn()
    assert bridge.position == at(2)


def test_skipped_events_only_move_the_position() -> None:
    bridge = InMemoryBridge()
    bridge.log.append(skipped="delete")
    bridge.log.append(skipped="delete")
    bridge.log.pass_by()

    bridge.turn(3)

    assert bridge.sink.sent == 0
    assert bridge.position == at(3)
    assert bridge.counters.skipped == {"delete": 2}


def test_an_idle_position_waits_for_messages_in_flight() -> None:
    bridge = filled(1)
    bridge.turn()
    bridge.log.pass_by()
    bridge.turn(2)
    assert bridge.position == at(0)

    bridge.sink.acknowledge()
    bridge.turn(2)
    assert bridge.position == at(2)


def test_an_idle_position_is_stored_after_a_while() -> None:
    bridge = InMemoryBridge()
    bridge.log.pass_by()

    bridge.turn(3)
    assert bridge.stored.position == at(0)

    bridge.clock.advance(10.0)
    bridge.turn(2)
    assert bridge.stored.position == at(1)


def test_only_an_idle_loop_sleeps() -> None:
    bridge = filled(4)
    before = bridge.clock.monotonic()
    bridge.turn(2)
    assert bridge.clock.monotonic() == before

    bridge.turn(2)
    assert bridge.clock.monotonic() > before


def test_the_next_session_starts_at_the_settled_position() -> None:
    bridge = filled(6)
    bridge.turn(3)
    bridge.sink.acknowledge(2)
    bridge.sink.fail(Retryable("the broker is unreachable"))

    with pytest.raises(Retryable, match="the broker is unreachable"):
        bridge.turn(2)
    bridge.loop.drain(20.0)
    settled = bridge.position
    bridge.new_session()
    bridge.run(
        bridge.sink.acknowledge, bridge.sink.acknowledge, bridge.sink.acknowledge, lambda: None
    )

    assert at(0) < settled < bridge.position == at(6)
    assert bridge.counters.possible_duplicates == 0
    assert sorted(bridge.values()) == sorted(bridge.expected())


def test_acknowledgements_before_a_failure_count() -> None:
    bridge = filled(2)
    bridge.turn(2)
    bridge.sink.acknowledge()
    bridge.sink.fail(Retryable("later"))

    with pytest.raises(Retryable):
        bridge.turn(2)

    assert bridge.counters.acked == 2
    assert bridge.window.count == 0


@pytest.mark.parametrize("error", [NotPermitted("no"), PoisonEvent("bad"), Retryable("later")])
def test_the_error_of_a_message_ends_the_session(error: BridgeError) -> None:
    bridge = filled(1)
    bridge.turn()
    bridge.sink.fail(error)

    with pytest.raises(type(error)):
        bridge.turn()


def test_the_last_event_precedes_the_streams_error() -> None:
    bridge = filled(3)
    bridge.log.end()

    with pytest.raises(Retryable, match="the stream ended"):
        bridge.turn(5)

    assert bridge.sink.sent == 3


def test_an_unreachable_store_loses_no_position() -> None:
    bridge = filled(2)
    bridge.turn(2)
    bridge.sink.acknowledge()
    bridge.clock.advance(1.0)
    bridge.store.failure = Retryable("the store is unreachable")

    with pytest.raises(Retryable, match="the store is unreachable"):
        bridge.turn()

    assert bridge.position == at(2)
    assert bridge.stored.position == at(0)


def test_a_dead_letter_keeps_the_order() -> None:
    bridge = InMemoryBridge()
    bridge.log.append(Poison("the time is missing", "job-0"))
    bridge.log.append(transition(1))
    bridge.turn()

    bridge.sink.acknowledge_key("job-0")
    bridge.turn()
    assert (bridge.counters.acked, bridge.position) == (1, at(0))

    bridge.sink.acknowledge()
    bridge.turn()
    assert bridge.position == at(2)
    assert len(bridge.delivered("jobs-dlq")) == 1


def test_too_many_dead_letters_stop_the_bridge() -> None:
    bridge = InMemoryBridge(dead_letters=2)
    for _ in range(3):
        bridge.log.append(Poison("the time is missing", "job-0"))

    with pytest.raises(PoisonEvent, match="Too many dead letters"):
        bridge.turn(5)

    assert bridge.sink.sent == bridge.counters.dead_lettered == 2


def test_each_turn_is_a_beat() -> None:
    bridge = InMemoryBridge()
    bridge.clock.advance(50.0)

    bridge.turn()

    assert bridge.pulse.last_beat == 1050.0


def test_a_pause_ends_the_loop() -> None:
    """It reads nothing more; the messages in flight are left to the drain."""
    bridge = filled(1)
    bridge.turn()
    reads = bridge.reads
    bridge.log.append()
    bridge.pulse.request_pause()

    bridge.run(lambda: None)

    assert (bridge.reads, bridge.sink.in_flight) == (reads, 1)
    assert bridge.pulse.wake.is_set()
