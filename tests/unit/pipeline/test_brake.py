"""Too many dead letters stop the bridge between events, and a restart continues after them."""

from __future__ import annotations

import json
from collections import deque

import pytest

from bridge.errors import PoisonEvent
from bridge.model.message import Message
from bridge.model.position import Position
from bridge.model.transition import RECOVERY, Event, Poison
from tests.support.factories import at, transition
from tests.support.in_memory_bridge import InMemoryBridge

LIMIT = 10


def poison(number: int) -> Poison:
    return Poison("the time is missing", f"job-{number}", "created", "", f"t-{number}")


def letters(bridge: InMemoryBridge) -> list[int]:
    """Return the numbers of all dead letters, sorted, because their keys differ."""
    return sorted(map(number_of, bridge.delivered("jobs-dlq")))


def number_of(letter: Message) -> int:
    return int(json.loads(letter.value)["trans_id"].removeprefix("t-"))


def run_supervised(bridge: InMemoryBridge, events: int) -> int:
    """Run process after process, as a supervisor does; return how often the brake stopped it."""
    stops = 0
    while bridge.position < at(events):
        try:
            bridge.run(*[bridge.sink.acknowledge] * 20)
        except PoisonEvent:
            stops += 1
            bridge.sink.acknowledge()
            bridge.loop.drain(1.0)
            bridge.progress.save()
            bridge.start_process()
        assert stops < 100
    return stops


def test_restarts_get_past_any_dead_letters() -> None:
    bridge = InMemoryBridge(dead_letters=LIMIT)
    for number in range(105):
        bridge.log.append(poison(number))
    good = transition(0)
    bridge.log.append(good)

    assert run_supervised(bridge, 106) == 10
    assert letters(bridge) == list(range(105))
    assert bridge.values() == bridge.expected()


def test_an_event_above_the_limit_is_finished() -> None:
    bridge = InMemoryBridge(dead_letters=LIMIT)
    bridge.log.append(poison(0))
    bridge.log.append(*map(poison, range(1, 16)), transition(0))
    bridge.log.append(*map(poison, range(16, 31)), transition(1))
    bridge.log.append(transition(2))

    assert run_supervised(bridge, 4) == 1
    assert letters(bridge) == list(range(31))
    assert bridge.values() == bridge.expected()


def test_a_refused_event_sends_no_message() -> None:
    bridge = InMemoryBridge(dead_letters=1)
    bridge.log.append(poison(0))
    bridge.log.append(transition(0), poison(1))

    with pytest.raises(PoisonEvent, match="the next start continues with this event"):
        bridge.run(*[bridge.sink.acknowledge] * 9)

    bridge.sink.acknowledge()
    assert bridge.delivered() == []
    assert letters(bridge) == [0]


def test_jobs_read_again_by_a_recovery_count_once() -> None:
    """A recovery restarts at the jobs of its cursor; more than the limit must not hold it there."""
    bridge = InMemoryBridge(dead_letters=LIMIT)
    cursor = Position(at(1).key, recovery_cursor=f"t{1:016x}")
    bridge.progress.reached(cursor)
    bridge.progress.save()
    bridge.start_process()
    for number in range(15):
        publish(bridge, Event(cursor, (poison(number),), origin=RECOVERY))

    publish(
        bridge, Event(cursor._replace(recovery_cursor=f"t{2:016x}"), (poison(15),), origin=RECOVERY)
    )
    bridge.sink.acknowledge()

    assert len(letters(bridge)) == 16


def publish(bridge: InMemoryBridge, event: Event) -> None:
    bridge.publisher.publish(deque([event]))
