"""The publisher: what becomes of each item of an event."""

from __future__ import annotations

import json
import logging
from collections import deque

import pytest

from bridge.errors import PoisonEvent
from bridge.model.transition import RECOVERY, Poison
from tests.support.factories import at, event, transition
from tests.support.in_memory_bridge import Rig

POISON = Poison("the time is missing", "job-1", "created", "", "t-1", 0)


def test_a_message_goes_to_the_topic_and_into_the_window() -> None:
    rig = Rig()

    rig.publisher.publish(deque([event(1, transition(0))]))

    assert (rig.sink.in_flight, rig.window.count, rig.counters.sent, rig.counters.read) == (
        1,
        1,
        1,
        1,
    )
    assert rig.window.bytes > len(rig.publisher._format.message(transition(0), b"").value)


def test_an_event_without_items_is_counted_by_its_reason() -> None:
    rig = Rig()

    rig.publisher.publish(deque([event(1, skipped="delete")]))

    assert rig.counters.skipped == {"delete": 1}
    assert rig.window.advance() == at(1)
    assert rig.sink.sent == 0


def test_a_poison_is_set_aside_with_its_reason_and_said(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()

    with caplog.at_level(logging.WARNING):
        rig.publisher.publish(deque([event(1, POISON)]))
    rig.sink.acknowledge()

    letters = rig.delivered("jobs-dlq")
    assert [json.loads(one.value)["error_dlq"] for one in letters] == ["the time is missing"]
    assert rig.counters.dead_lettered == 1
    (line,) = caplog.records
    assert (line.job_id, line.trans_id) == ("job-1", "t-1")  # type: ignore[attr-defined]


def test_a_message_too_large_is_set_aside_with_its_size() -> None:
    rig = Rig(most=250)
    huge = transition(0, "j" * 300)

    rig.publisher.publish(deque([event(1, huge, transition(1))]))
    rig.sink.acknowledge()

    (letter,) = rig.delivered("jobs-dlq")
    assert "more than topic jobs takes" in json.loads(letter.value)["error_dlq"]
    assert json.loads(letter.value)["trans_id"] == huge.trans_id
    assert len(rig.delivered()) == 1


def test_a_message_too_large_stops_the_bridge_where_that_is_asked_for() -> None:
    rig = Rig(most=250, set_aside=False)

    with pytest.raises(PoisonEvent, match=r"kafka\.on_oversize"):
        rig.publisher.publish(deque([event(1, transition(0, "j" * 300))]))

    assert rig.sink.sent == 0


def test_without_a_topic_for_dead_letters_a_poison_stops_the_bridge() -> None:
    rig = Rig(topics=("jobs",))

    with pytest.raises(PoisonEvent, match="job-bridge topics create"):
        rig.publisher.publish(deque([event(1, POISON)]))

    assert rig.counters.dead_lettered == 0


def test_what_is_sent_again_after_a_failure_counts_as_a_possible_duplicate() -> None:
    rig = Rig()
    rig.publisher.publish(deque([event(1, transition(0), transition(1))]))
    rig.publisher.publish(deque([event(2, transition(2))]))
    assert rig.counters.possible_duplicates == 0

    rig.again()
    rig.publisher.publish(deque([event(1, transition(0), transition(1))]))
    rig.publisher.publish(deque([event(2, transition(2))]))
    rig.publisher.publish(deque([event(3, transition(3))]))

    assert rig.counters.possible_duplicates == 3


def test_a_dead_letter_that_is_sent_again_after_a_failure_is_counted_and_braked_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else a topic for dead letters that refuses them would be told as too many of them."""
    rig = Rig(dead_letters=3)
    letters = [event(number, POISON) for number in (1, 2, 3)]
    for _ in range(4):
        rig.publisher.publish(deque(letters))

    assert rig.counters.dead_lettered == 3
    assert sum("set aside to" in line for line in caplog.messages) == 3
    with pytest.raises(PoisonEvent, match="Too many dead letters"):
        rig.publisher.publish(deque([event(4, POISON)]))


def test_jobs_of_a_recovery_that_share_a_position_are_each_counted() -> None:
    rig = Rig()
    rig.publisher.publish(
        deque(
            [event(1, POISON)._replace(origin=RECOVERY), event(1, POISON)._replace(origin=RECOVERY)]
        )
    )

    assert rig.counters.dead_lettered == 2
