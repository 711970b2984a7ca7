"""The loop with everything around it in memory."""

from __future__ import annotations

import pytest

from bridge.errors import BridgeError, Fenced, NotPermitted, PoisonEvent, Retryable
from bridge.model.transition import Poison
from tests.support.factories import at, transition
from tests.support.in_memory_bridge import Rig


def filled(events: int, **options: int) -> Rig:
    rig = Rig(**options)  # type: ignore[arg-type]
    for _ in range(events):
        rig.log.append()
    return rig


def test_every_transition_is_published_in_order_and_remembered_once_it_is_acknowledged() -> None:
    rig = filled(5)

    rig.turn(3)
    assert rig.sink.in_flight == 5
    assert rig.position == rig.stored.position == at(0)

    rig.sink.acknowledge()
    rig.run(lambda: rig.clock.advance(1.0), lambda: None)

    assert rig.values() == rig.expected()
    assert rig.position == rig.stored.position == at(5)
    assert rig.counters.acked == rig.counters.sent == rig.counters.read == 5


def test_nothing_is_read_while_the_window_is_full() -> None:
    rig = filled(10, messages=2)

    rig.turn(6)

    assert rig.stream.reads == 1
    assert rig.sink.sent == 2


def test_a_window_full_of_bytes_stops_the_reading_too() -> None:
    rig = filled(10, size=1)

    rig.turn(6)

    assert (rig.stream.reads, rig.sink.sent) == (1, 1)


def test_a_batch_larger_than_the_window_is_published_as_room_comes() -> None:
    rig = filled(9, messages=2, batch=100)

    rig.run(*[lambda: rig.sink.acknowledge(1)] * 12)

    assert rig.values() == rig.expected()
    assert rig.position == at(9)
    assert rig.counters.acked == 9


def test_two_transitions_in_one_event_move_the_position_only_together() -> None:
    rig = Rig()
    rig.log.append(transition(0), transition(1))
    rig.turn()

    rig.sink.acknowledge(1)
    rig.turn()
    assert rig.counters.acked == 1
    assert rig.position == at(0)

    rig.sink.acknowledge(1)
    rig.turn()
    assert rig.position == at(1)


def test_the_position_waits_for_the_slowest_partition() -> None:
    rig = Rig()
    rig.log.append(transition(0, "a"))
    rig.log.append(transition(0, "b"))
    rig.turn()

    rig.sink.acknowledge_key("b")
    rig.turn()
    assert (rig.counters.acked, rig.position) == (1, at(0))

    rig.sink.acknowledge_key("a")
    rig.turn()
    assert rig.position == at(2)


def test_events_without_a_transition_move_the_position_and_send_nothing() -> None:
    rig = Rig()
    rig.log.append(skipped="delete")
    rig.log.append(skipped="delete")
    rig.log.pass_by()

    rig.turn(3)

    assert rig.sink.sent == 0
    assert rig.position == at(3)
    assert rig.counters.skipped == {"delete": 2}


def test_an_idle_position_waits_behind_what_is_in_flight() -> None:
    rig = filled(1)
    rig.turn()
    rig.log.pass_by()
    rig.turn(2)
    assert rig.position == at(0)

    rig.sink.acknowledge()
    rig.turn(2)
    assert rig.position == at(2)


def test_an_idle_position_is_stored_after_a_while() -> None:
    rig = Rig()
    rig.log.pass_by()

    rig.turn(3)
    assert rig.stored.position == at(0)

    rig.clock.advance(10.0)
    rig.turn(2)
    assert rig.stored.position == at(1)


def test_an_idle_loop_sleeps_and_a_busy_one_does_not() -> None:
    rig = filled(4)
    before = rig.clock.monotonic()
    rig.turn(2)
    assert rig.clock.monotonic() == before

    rig.turn(2)
    assert rig.clock.monotonic() > before


def test_a_stop_drains_what_is_in_flight_and_reads_nothing_more() -> None:
    rig = filled(20)
    rig.turn(2)
    reads, sent = rig.stream.reads, rig.sink.sent
    rig.wake.meanwhile = lambda: rig.sink.acknowledge(1)

    assert rig.loop.drain(20.0)

    assert rig.stream.reads == reads
    assert rig.sink.sent == sent == len(rig.delivered())
    assert rig.position == at(sent)


def test_a_drain_gives_up_at_its_deadline_and_keeps_what_was_settled() -> None:
    rig = filled(2)
    rig.turn(2)
    rig.sink.acknowledge(1)
    before = rig.clock.monotonic()

    assert not rig.loop.drain(5.0)

    assert 5.0 <= rig.clock.monotonic() - before < 6.0
    assert rig.position == at(1)


def test_a_drain_does_not_wait_for_a_broken_sink() -> None:
    rig = filled(2)
    rig.turn(2)
    rig.sink.broken = True
    before = rig.clock.monotonic()

    assert not rig.loop.drain(20.0)

    assert rig.clock.monotonic() == before


@pytest.mark.parametrize(
    "failure",
    [Retryable("the store is away"), NotPermitted("the store refuses us")],
    ids=["away", "refused"],
)
def test_a_drain_goes_on_without_the_store(failure: BridgeError) -> None:
    rig = filled(2)
    rig.turn(2)
    rig.clock.advance(1.0)
    rig.sink.acknowledge()
    rig.store.failure = failure

    assert rig.loop.drain(20.0)

    assert rig.position == at(2)


def test_a_drain_ends_when_another_bridge_took_over() -> None:
    rig = filled(2)
    rig.turn(2)
    rig.clock.advance(1.0)
    rig.sink.acknowledge()
    rig.shelf.owner = None

    with pytest.raises(Fenced):
        rig.loop.drain(20.0)


def test_a_failing_sink_ends_the_run_and_the_next_begins_at_the_settled_position() -> None:
    rig = filled(6)
    rig.turn(3)
    rig.sink.acknowledge(2)
    rig.sink.fail(Retryable("the broker is away"))

    with pytest.raises(Retryable, match="the broker is away"):
        rig.turn(2)
    rig.loop.drain(20.0)
    settled = rig.position
    rig.again()
    rig.run(rig.sink.acknowledge, rig.sink.acknowledge, rig.sink.acknowledge, lambda: None)

    assert at(0) < settled < rig.position == at(6)
    assert rig.counters.possible_duplicates > 0
    assert set(rig.values()) == set(rig.expected())


def test_messages_acknowledged_before_one_that_failed_are_counted() -> None:
    rig = filled(2)
    rig.turn(2)
    rig.sink.acknowledge()
    rig.sink.fail(Retryable("later"))

    with pytest.raises(Retryable):
        rig.turn(2)

    assert rig.counters.acked == 2
    assert rig.window.count == 0


@pytest.mark.parametrize("error", [NotPermitted("no"), PoisonEvent("bad"), Retryable("later")])
def test_what_a_message_failed_of_is_what_ends_the_run(error: BridgeError) -> None:
    rig = filled(1)
    rig.turn()
    rig.sink.fail(error)

    with pytest.raises(type(error)):
        rig.turn()


def test_a_stream_that_ends_is_heard_after_its_last_event_was_published() -> None:
    rig = filled(3)
    rig.log.end()

    with pytest.raises(Retryable, match="the stream ended"):
        rig.turn(5)

    assert rig.sink.sent == 3


def test_a_store_out_of_reach_ends_the_run_and_loses_no_position() -> None:
    rig = filled(2)
    rig.turn(2)
    rig.sink.acknowledge()
    rig.clock.advance(1.0)
    rig.store.failure = Retryable("the store is away")

    with pytest.raises(Retryable, match="the store is away"):
        rig.turn()

    assert rig.position == at(2)
    assert rig.stored.position == at(0)


def test_a_dead_letter_keeps_its_place_in_the_order() -> None:
    rig = Rig()
    rig.log.append(Poison("the time is missing", "job-0"))
    rig.log.append(transition(1))
    rig.turn()

    rig.sink.acknowledge_key("job-0")
    rig.turn()
    assert (rig.counters.acked, rig.position) == (1, at(0))

    rig.sink.acknowledge()
    rig.turn()
    assert rig.position == at(2)
    assert len(rig.delivered("jobs-dlq")) == 1


def test_too_many_dead_letters_stop_the_bridge_before_one_more_is_sent() -> None:
    rig = Rig(dead_letters=2)
    for _ in range(3):
        rig.log.append(Poison("the time is missing", "job-0"))

    with pytest.raises(PoisonEvent, match="Too many dead letters"):
        rig.turn(5)

    assert rig.sink.sent == rig.counters.dead_lettered == 2


def test_the_loop_notes_when_it_turned() -> None:
    rig = Rig()
    rig.clock.advance(50.0)

    rig.turn()

    assert rig.counters.turned == 1050.0
