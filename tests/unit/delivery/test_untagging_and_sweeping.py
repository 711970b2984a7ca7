"""Background modes: a message is settled when its tag is gone, and a tag that stays is sent again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import pytest

from bridge.delivery.sweeping_stream import NoStream, SweepingStream, TaggingStream
from bridge.delivery.untagging_sink import InFlight, UntaggingSink
from bridge.errors import Retryable
from bridge.model.transition import STREAM, SWEEP, Batch, Event, Poison, Transition
from bridge.model.window import Delivery
from bridge.observability.counters import Counters
from tests.support.factories import BASE, at, message, transition
from tests.support.fakes import FakeBroker, FakeClock, FakeSink, FakeStream, Log

Item = Transition | Poison


class FakeTags:
    """Tags of transitions in memory, by job."""

    def __init__(self, *items: Item) -> None:
        self.tagged: list[Item] = list(items)
        self.asked: list[float] = []
        self.put_on: list[Item] = []
        self.failure: Retryable | None = None

    def clear(self, items: Sequence[Item]) -> None:
        if self.failure is not None:
            raise self.failure
        self.tagged = [one for one in self.tagged if one not in items]

    def put(self, items: Sequence[Item]) -> None:
        self.put_on += items

    def earlier(self, items: Sequence[Item]) -> Mapping[str, Sequence[Item]]:
        found: dict[str, list[Item]] = {}
        for item in items:
            before = [
                one
                for one in self.tagged
                if one.job_id == item.job_id and (one.sequence or 0) < (item.sequence or 0)
            ]
            if before:
                found[item.job_id] = before
        return found

    def pending(self, before: float) -> Iterator[Sequence[Item]]:
        self.asked.append(before)
        jobs = dict.fromkeys(one.job_id for one in self.tagged)
        return iter([[one for one in self.tagged if one.job_id == job_id] for job_id in jobs])


class Pace:
    every_seconds = 60.0
    older_than_seconds = 120.0


class Desk:
    def __init__(self, *items: Item) -> None:
        self.clock, self.counters, self.log, self.held = FakeClock(), Counters(), Log(), InFlight()
        self.tags = FakeTags(*items)
        self.kafka = FakeSink(FakeBroker("jobs"))
        self.sink = UntaggingSink(self.kafka, self.tags, self.held)
        self.stream = SweepingStream(
            FakeStream(self.log, at(0), 100),
            self.tags,
            self.held,
            Pace(),
            at(0),
            self.clock,
            self.counters,
        )

    def send(self, *items: Item) -> list[Delivery]:
        sent = [Delivery(at(number), 1, item=item) for number, item in enumerate(items, 1)]
        self.sink.send([(message(one.item.job_id if one.item else ""), one) for one in sent])
        return sent

    def read(self) -> list[tuple[bytes, list[str]]]:
        batch = self.stream.read()
        return (
            []
            if batch is None
            else [(event.origin, [item.trans_id for item in event.items]) for event in batch.events]
        )


FIRST, SECOND, THIRD = (transition(number) for number in range(3))
OTHER = transition(0, "job-1")


def test_what_is_acknowledged_is_settled_once_its_tag_is_gone() -> None:
    desk = Desk(FIRST, OTHER)
    sent = desk.send(FIRST, OTHER)
    assert list(desk.sink.settled()) == []
    assert desk.tags.tagged == [FIRST, OTHER]

    desk.kafka.acknowledge()

    assert {id(one) for one in desk.sink.settled()} == {id(one) for one in sent}
    assert desk.tags.tagged == []


def test_when_untagging_fails_nothing_is_settled_and_the_tag_is_sent_again() -> None:
    desk = Desk(FIRST)
    desk.send(FIRST)
    desk.kafka.acknowledge()
    desk.tags.failure = Retryable("MongoDB is out of reach")

    with pytest.raises(Retryable):
        desk.sink.settled()

    assert desk.sink.broken
    assert list(desk.sink.settled()) == []
    desk.held.clear()  # as the next run does
    assert desk.read() == [(SWEEP, [FIRST.trans_id])]


def test_the_first_sweep_comes_at_once_and_the_next_when_it_is_due() -> None:
    desk = Desk(FIRST, SECOND, OTHER)

    assert desk.read() == [(SWEEP, [FIRST.trans_id, SECOND.trans_id]), (SWEEP, [OTHER.trans_id])]
    assert desk.tags.asked == [min(desk.clock.now() - 120.0, BASE)]
    assert desk.read() == []

    desk.clock.advance(59.0)
    assert desk.read() == []
    desk.clock.advance(1.0)
    assert len(desk.read()) == 2
    assert desk.counters.swept == 6


def test_a_sweep_leaves_alone_what_is_on_its_way() -> None:
    desk = Desk(FIRST, SECOND)
    desk.send(FIRST)

    assert desk.read() == [(SWEEP, [SECOND.trans_id])]


def test_what_was_read_of_a_job_before_the_stream_told_of_it_is_left_to_the_next_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may be older than what the stream told meanwhile, and would be the last a consumer hears."""
    monkeypatch.setattr("bridge.delivery.sweeping_stream._JOBS", 1)
    desk = Desk(OTHER, FIRST)
    monkeypatch.setattr(desk.tags, "earlier", lambda _: {})  # states in between may be skipped
    sweep = [desk.read()]
    desk.log.append(SECOND)
    stream = desk.read()

    sweep += [desk.read(), desk.read()]
    desk.clock.advance(Pace.every_seconds)
    again = [desk.read(), desk.read()]

    assert sweep == [[(SWEEP, [OTHER.trans_id])], [], []]
    assert [trans_ids for _, trans_ids in stream] == [[SECOND.trans_id]]
    assert [(SWEEP, [FIRST.trans_id])] in again


class Slow:
    """Gives the next part of a sweep when it was asked ``asks`` times."""

    def __init__(self, found: Iterator[Sequence[Item]], asks: int) -> None:
        self._found, self._asks = found, asks

    def __call__(self, most: int) -> list[Sequence[Item]] | None:
        self._asks -= 1
        return None if self._asks > 0 else [*islice(self._found, most)]


def slow(desk: Desk, asks: int) -> SweepingStream:
    return SweepingStream(
        FakeStream(desk.log, at(0), 1),
        desk.tags,
        desk.held,
        Pace(),
        at(0),
        desk.clock,
        desk.counters,
        lambda found: Slow(found, asks),
    )


def test_the_stream_goes_on_while_a_sweep_takes_long_to_find_what_is_tagged() -> None:
    desk = Desk(FIRST)
    desk.stream = slow(desk, 3)
    asked = [desk.read()]
    desk.log.append(OTHER)
    told = desk.read()
    asked += [desk.read(), desk.read()]

    assert told == [(STREAM, [OTHER.trans_id])]
    assert asked == [[], [], [(SWEEP, [FIRST.trans_id])]]


def test_what_was_untagged_while_a_sweep_looked_is_not_sent_again() -> None:
    """It was on its way when the sweep found it, and is not any more when that is told."""
    desk = Desk(FIRST, OTHER)
    desk.stream = slow(desk, 2)
    desk.send(FIRST)
    assert desk.read() == []
    desk.kafka.acknowledge()
    assert list(desk.sink.settled())
    desk.tags.tagged.insert(0, FIRST)  # as it was when the sweep looked

    assert desk.read() == [(SWEEP, [OTHER.trans_id])]


def test_a_sweep_is_waited_for_when_the_stream_told_of_too_many_jobs_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it told is remembered until then, and that is to be bounded; nor may a busy stream put the sweep off for ever."""
    monkeypatch.setattr("bridge.delivery.sweeping_stream._MOST_TOLD", 2)
    desk = Desk(FIRST)
    desk.stream = slow(desk, 4)
    desk.read()
    others = [transition(0, f"other-{number}") for number in range(5)]
    for one in others:
        desk.log.append(one)

    read = [desk.read() for _ in range(8)]

    assert [trans_ids for batch in read[:3] for _, trans_ids in batch] == [
        [one.trans_id] for one in others[:3]
    ]
    assert read[3:6] == [[], [], [(SWEEP, [FIRST.trans_id])]]
    assert [trans_ids for batch in read[6:] for _, trans_ids in batch] == [
        [one.trans_id] for one in others[3:]
    ]


def test_tags_are_taken_off_a_part_at_a_time_and_none_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that Kafka acknowledged together would be one write, which may take longer than a write may."""
    monkeypatch.setattr("bridge.delivery.untagging_sink._AT_ONCE", 2)
    desk = Desk(FIRST, SECOND, THIRD, OTHER)
    sent = desk.send(FIRST, SECOND, THIRD)
    desk.kafka.acknowledge(3)

    assert [desk.sink.settled(), desk.tags.tagged] == [sent[:2], [THIRD, OTHER]]
    assert [desk.sink.settled(), desk.tags.tagged] == [sent[2:], [OTHER]]
    assert desk.sink.settled() == []


def test_a_sweep_does_not_move_the_position() -> None:
    desk = Desk(FIRST)
    desk.log.append(OTHER)
    desk.stream.read()

    batch = desk.stream.read()

    assert batch is not None
    assert batch.position == batch.events[0].position == desk.log.position


def test_the_stream_comes_before_the_sweep() -> None:
    desk = Desk(FIRST)
    desk.log.append(OTHER)

    assert desk.read() == [(b"stream", [OTHER.trans_id])]
    assert desk.read() == [(SWEEP, [FIRST.trans_id])]


def test_what_a_job_has_still_tagged_from_before_comes_before_its_first_event() -> None:
    desk = Desk(FIRST, SECOND)
    desk.log.append(THIRD)

    assert desk.read() == [
        (SWEEP, [FIRST.trans_id, SECOND.trans_id]),
        (b"stream", [THIRD.trans_id]),
    ]


def test_a_job_is_asked_about_once() -> None:
    desk = Desk(FIRST)
    desk.log.append(SECOND)
    desk.read()
    desk.log.append(THIRD)

    assert desk.read() == [(b"stream", [THIRD.trans_id])]


def test_a_deployment_without_streams_is_swept_alone() -> None:
    desk = Desk(FIRST)
    desk.stream = SweepingStream(
        NoStream(), desk.tags, desk.held, Pace(), at(0), desk.clock, desk.counters
    )

    assert desk.read() == [(SWEEP, [FIRST.trans_id])]
    assert desk.read() == []


def test_what_the_stream_is_going_to_tell_is_not_swept() -> None:
    desk = Desk()
    desk.clock.time += 10_000
    desk.read()
    desk.log.append(OTHER)
    desk.read()
    desk.clock.advance(60.0)
    desk.read()

    # Only what happened before the position of the stream, however old the rest is.
    assert desk.tags.asked == [BASE, BASE + 1]

    alone = SweepingStream(
        NoStream(), desk.tags, desk.held, Pace(), at(0), desk.clock, desk.counters
    )
    alone.read()
    assert desk.tags.asked[-1] == desk.clock.now() - 120.0


def test_tags_the_bridge_sets_are_there_before_the_events_are_told() -> None:
    desk = Desk()
    desk.log.append(FIRST, SECOND)
    desk.log.append(skipped="delete")
    stream = TaggingStream(FakeStream(desk.log, at(0), 100), desk.tags)

    batch = stream.read()

    assert isinstance(batch, Batch) and isinstance(batch.events[0], Event)
    assert desk.tags.put_on == [FIRST, SECOND]
    assert stream.read() is None
