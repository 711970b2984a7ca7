"""The publisher: each item of an event becomes a message, a dead letter or an error."""

from __future__ import annotations

import json
import logging
from collections import deque

import pytest

from bridge.errors import PoisonEvent
from bridge.model.transition import RECOVERY, Poison
from bridge.observability.public import public_text
from tests.support.factories import at, event, transition
from tests.support.in_memory_bridge import InMemoryBridge

POISON = Poison("the time is missing", "job-1", "created", "", "t-1", 0)


def test_a_message_is_sent_and_enters_the_window() -> None:
    bridge = InMemoryBridge()

    bridge.publisher.publish(deque([event(1, transition(0))]))

    assert (
        bridge.sink.in_flight,
        bridge.window.count,
        bridge.counters.sent,
        bridge.counters.read,
    ) == (
        1,
        1,
        1,
        1,
    )
    assert bridge.window.bytes > len(bridge.publisher._format.message(transition(0), b"").value)


def test_an_event_without_items_counts_by_reason() -> None:
    bridge = InMemoryBridge()

    bridge.publisher.publish(deque([event(1, skipped="delete")]))

    assert bridge.counters.skipped == {"delete": 1}
    assert bridge.window.advance() == at(1)
    assert bridge.sink.sent == 0


def test_a_poison_is_dead_lettered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    bridge = InMemoryBridge()

    with caplog.at_level(logging.WARNING):
        bridge.publisher.publish(deque([event(1, POISON)]))
    bridge.sink.acknowledge()

    letters = bridge.delivered("jobs-dlq")
    assert [json.loads(letter.value)["error_dlq"] for letter in letters] == ["the time is missing"]
    assert bridge.counters.dead_lettered == 1
    (line,) = caplog.records
    assert (line.job_id, line.trans_id) == ("job-1", "t-1")  # type: ignore[attr-defined]
    # Also for readers who see no details.
    assert public_text(line.getMessage()) == (
        "a transition was dead-lettered to jobs-dlq; 'job-bridge dead-letters list' shows it"
    )


def test_dead_letters_have_no_latency() -> None:
    """The objective counts each transition once: as late, or by its latency."""
    bridge = InMemoryBridge()

    bridge.publisher.publish(deque([event(1, POISON, transition(1)), event(2)]))
    bridge.sink.acknowledge()
    bridge.top.settled()

    assert bridge.counters.acked == 3
    assert sum(bridge.counters.latency.counts) == 2


def test_an_oversize_message_is_dead_lettered() -> None:
    bridge = InMemoryBridge(max_bytes=250)
    huge = transition(0, "j" * 300)

    bridge.publisher.publish(deque([event(1, huge, transition(1))]))
    bridge.sink.acknowledge()

    (letter,) = bridge.delivered("jobs-dlq")
    assert "more than topic jobs accepts" in json.loads(letter.value)["error_dlq"]
    assert json.loads(letter.value)["trans_id"] == huge.trans_id
    assert len(bridge.delivered()) == 1


def test_a_large_transition_is_delivered_as_letter() -> None:
    """Its tag is removed by the transition; pages show the dead letter; its memory counts."""
    bridge = InMemoryBridge(max_bytes=250)
    huge = transition(0, "j" * 3000)
    bridge.publisher.publish(deque([event(1, huge, transition(1))]))

    large, small = bridge.window
    assert (large.item, small.item, small.letter) == (huge, transition(1), None)
    assert large.letter is not None
    assert large.letter.job_id == huge.job_id
    assert large.letter.reason.endswith("more than topic jobs accepts")
    assert large.size > 3000


def test_an_oversize_message_may_stop_the_bridge() -> None:
    bridge = InMemoryBridge(max_bytes=250, dead_letter_oversize=False)

    with pytest.raises(PoisonEvent, match=r"kafka\.on_oversize"):
        bridge.publisher.publish(deque([event(1, transition(0, "j" * 300))]))

    assert bridge.sink.sent == 0


def test_a_poison_without_dead_letter_topic_stops() -> None:
    bridge = InMemoryBridge(topics=("jobs",))

    with pytest.raises(PoisonEvent, match="job-bridge topics create"):
        bridge.publisher.publish(deque([event(1, POISON)]))

    assert bridge.counters.dead_lettered == 0


def test_repeats_without_read_back_are_possible_duplicates() -> None:
    bridge = InMemoryBridge(read_back=False)
    bridge.publisher.publish(deque([event(1, transition(0), transition(1))]))
    bridge.publisher.publish(deque([event(2, transition(2))]))
    assert bridge.counters.possible_duplicates == 0

    bridge.new_session()
    bridge.publisher.publish(deque([event(1, transition(0), transition(1))]))
    bridge.publisher.publish(deque([event(2, transition(2))]))
    bridge.publisher.publish(deque([event(3, transition(3))]))

    assert bridge.counters.possible_duplicates == 3


def test_a_repeated_dead_letter_counts_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else a dead-letter topic that refuses them would be reported as too many dead letters."""
    bridge = InMemoryBridge(dead_letters=3)
    letters = [event(number, POISON) for number in (1, 2, 3)]
    for _ in range(4):
        bridge.publisher.publish(deque(letters))

    assert bridge.counters.dead_lettered == 3
    (line,) = [line for line in caplog.messages if "dead-lettered to" in line]
    assert line.endswith("(2 more in the same batch)")
    with pytest.raises(PoisonEvent, match="Too many dead letters"):
        bridge.publisher.publish(deque([event(4, POISON)]))


def test_recovered_jobs_sharing_a_position_each_count() -> None:
    """Several jobs of a recovery have one position; none of them is a repeat of another."""
    bridge = InMemoryBridge()
    bridge.publisher.publish(
        deque(
            [event(1, POISON)._replace(origin=RECOVERY), event(1, POISON)._replace(origin=RECOVERY)]
        )
    )

    assert bridge.counters.dead_lettered == 2
