"""Background modes: a removed tag settles a message, and a tag that stays is sent again."""

from __future__ import annotations

import pytest

from bridge.delivery.context import ModeContext
from bridge.delivery.sweeping_stream import NoStream, SweepingStream, TaggingStream
from bridge.delivery.untagging_sink import InFlight, StillTagged, UntaggingSink
from bridge.errors import Retryable
from bridge.model.transition import STREAM, SWEEP, Batch, Event
from bridge.model.window import Delivery, Window
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.ports import Stream
from bridge.pipeline.pulse import Pulse
from tests.support.factories import BASE, at, message, transition
from tests.support.fake_tags import FakeTags, FixedPace, Item
from tests.support.fakes import FakeBroker, FakeClock, FakeSink, FakeStream, Log
from tests.support.slow_readers import PolledReaders


class SweepScenario:
    """A background mode on tags in memory; a part of a sweep is there at poll ``polls``."""

    def __init__(self, *items: Item, batch: int = 100, polls: int = 1) -> None:
        self.clock = FakeClock()
        self.context = PipelineContext(Pulse(self.clock))
        self.counters = self.context.counters
        self.log = Log()
        self.in_flight = InFlight()
        self.tags = FakeTags(*items)
        self.kafka = FakeSink(FakeBroker("jobs"))
        self.sink = UntaggingSink(self.kafka, self.tags, self.in_flight, still_tagged=StillTagged())
        self.stream = self.sweeping(FakeStream(self.log, at(0), batch), polls)

    def sweeping(self, stream: Stream, polls: int = 1) -> SweepingStream:
        context = ModeContext(
            at(0),
            Window(at(0), 100, 10**9),
            self.context,
            PolledReaders(polls),
            streams=not isinstance(stream, NoStream),
        )
        return SweepingStream(stream, self.tags, self.in_flight, pace=FixedPace(), context=context)

    def send(self, *items: Item) -> list[Delivery]:
        sent = [Delivery(at(number), 1, item=item) for number, item in enumerate(items, 1)]
        self.sink.send([(message(item.job_id), own) for item, own in zip(items, sent, strict=True)])
        return sent

    def read(self) -> list[tuple[bytes, list[str]]]:
        """Return the origin and the transitions of each event of the next batch."""
        batch = self.stream.read()
        events = batch.events if batch else ()
        return [(event.origin, [item.trans_id for item in event.items]) for event in events]


FIRST, SECOND, THIRD = (transition(number) for number in range(3))
OTHER = transition(0, "job-1")


def test_a_message_settles_when_its_tag_is_removed() -> None:
    scenario = SweepScenario(FIRST, OTHER)
    sent = scenario.send(FIRST, OTHER)
    assert list(scenario.sink.settled()) == []
    assert scenario.tags.tagged == [FIRST, OTHER]

    scenario.kafka.acknowledge()

    assert {id(settled) for settled in scenario.sink.settled()} == {id(own) for own in sent}
    assert scenario.tags.tagged == []


def test_a_failed_untagging_settles_nothing() -> None:
    scenario = SweepScenario(FIRST)
    scenario.send(FIRST)
    scenario.kafka.acknowledge()
    scenario.tags.failure = Retryable("MongoDB is unreachable")

    with pytest.raises(Retryable):
        scenario.sink.settled()

    assert scenario.sink.broken
    assert list(scenario.sink.settled()) == []
    scenario.in_flight.clear()  # As the next session does.
    assert scenario.read() == [(SWEEP, [FIRST.trans_id])]


def test_the_first_sweep_starts_at_once() -> None:
    scenario = SweepScenario(FIRST, SECOND, OTHER)

    assert scenario.read() == [
        (SWEEP, [FIRST.trans_id, SECOND.trans_id]),
        (SWEEP, [OTHER.trans_id]),
    ]
    assert scenario.tags.asked == [min(scenario.clock.now() - 120.0, BASE)]
    assert scenario.read() == []

    scenario.clock.advance(59.0)
    assert scenario.read() == []
    scenario.clock.advance(1.0)
    assert len(scenario.read()) == 2
    assert scenario.counters.swept == 6


def test_a_sweep_skips_transitions_in_flight() -> None:
    scenario = SweepScenario(FIRST, SECOND)
    scenario.send(FIRST)

    assert scenario.read() == [(SWEEP, [SECOND.trans_id])]


def test_a_streamed_job_waits_for_the_next_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sweep may have read it earlier, and consumers would see an older state last."""
    monkeypatch.setattr("bridge.delivery.sweeping_stream._JOBS_AT_ONCE", 1)
    scenario = SweepScenario(OTHER, FIRST)
    monkeypatch.setattr(scenario.tags, "earlier", lambda _: {})  # states in between may be skipped
    sweep = [scenario.read()]
    scenario.log.append(SECOND)
    stream = scenario.read()

    sweep += [scenario.read(), scenario.read()]
    scenario.clock.advance(FixedPace.every_seconds)
    again = [scenario.read(), scenario.read()]

    assert sweep == [[(SWEEP, [OTHER.trans_id])], [], []]
    assert [trans_ids for _, trans_ids in stream] == [[SECOND.trans_id]]
    assert [(SWEEP, [FIRST.trans_id])] in again


def test_the_stream_continues_during_a_slow_sweep() -> None:
    scenario = SweepScenario(FIRST, batch=1, polls=3)
    asked = [scenario.read()]
    scenario.log.append(OTHER)
    streamed = scenario.read()
    asked += [scenario.read(), scenario.read()]

    assert streamed == [(STREAM, [OTHER.trans_id])]
    assert asked == [[], [], [(SWEEP, [FIRST.trans_id])]]


def test_a_tag_removed_during_a_sweep_is_skipped() -> None:
    """The transition was in flight when the sweep read it, and is settled later."""
    scenario = SweepScenario(FIRST, OTHER, batch=1, polls=2)
    scenario.send(FIRST)
    assert scenario.read() == []
    scenario.kafka.acknowledge()
    assert list(scenario.sink.settled())
    scenario.tags.tagged.insert(0, FIRST)  # as it was when the sweep looked

    assert scenario.read() == [(SWEEP, [OTHER.trans_id])]


def test_too_many_streamed_jobs_wait_for_the_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The jobs remembered are bounded, and a busy stream cannot delay a sweep for ever."""
    monkeypatch.setattr("bridge.delivery.sweeping_stream._MAX_STREAMED_JOBS", 2)
    scenario = SweepScenario(FIRST, batch=1, polls=4)
    scenario.read()
    others = [transition(0, f"other-{number}") for number in range(5)]
    for other in others:
        scenario.log.append(other)

    read = [scenario.read() for _ in range(8)]

    assert [trans_ids for batch in read[:3] for _, trans_ids in batch] == [
        [other.trans_id] for other in others[:3]
    ]
    assert read[3:6] == [[], [], [(SWEEP, [FIRST.trans_id])]]
    assert [trans_ids for batch in read[6:] for _, trans_ids in batch] == [
        [other.trans_id] for other in others[3:]
    ]


def test_tags_are_removed_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A single write of all acknowledged messages could exceed the deadline of a write."""
    monkeypatch.setattr("bridge.delivery.untagging_sink._TAGS_AT_ONCE", 2)
    scenario = SweepScenario(FIRST, SECOND, THIRD, OTHER)
    sent = scenario.send(FIRST, SECOND, THIRD)
    scenario.kafka.acknowledge(3)

    assert [scenario.sink.settled(), scenario.tags.tagged] == [sent[:2], [THIRD, OTHER]]
    assert [scenario.sink.settled(), scenario.tags.tagged] == [sent[2:], [OTHER]]
    assert scenario.sink.settled() == []


def test_a_sweep_does_not_move_the_position() -> None:
    scenario = SweepScenario(FIRST)
    scenario.log.append(OTHER)
    scenario.stream.read()

    batch = scenario.stream.read()

    assert batch is not None
    assert batch.position == batch.events[0].position == scenario.log.position


def test_the_stream_comes_before_the_sweep() -> None:
    scenario = SweepScenario(FIRST)
    scenario.log.append(OTHER)

    assert scenario.read() == [(b"stream", [OTHER.trans_id])]
    assert scenario.read() == [(SWEEP, [FIRST.trans_id])]


def test_earlier_tagged_transitions_come_first() -> None:
    scenario = SweepScenario(FIRST, SECOND)
    scenario.log.append(THIRD)

    assert scenario.read() == [
        (SWEEP, [FIRST.trans_id, SECOND.trans_id]),
        (b"stream", [THIRD.trans_id]),
    ]


def test_a_job_is_looked_up_once() -> None:
    scenario = SweepScenario(FIRST)
    scenario.log.append(SECOND)
    scenario.read()
    scenario.log.append(THIRD)

    assert scenario.read() == [(b"stream", [THIRD.trans_id])]


def test_new_jobs_are_looked_up_together() -> None:
    """A batch makes a query, however many jobs it has."""
    scenario = SweepScenario(FIRST)
    scenario.log.append(SECOND)
    scenario.log.append(OTHER)
    scenario.log.append(THIRD)

    scenario.read()

    assert scenario.tags.looked_up == [[SECOND, OTHER]]


def test_a_changed_sequence_is_the_same_transition() -> None:
    """The service removed the job's first transitions, so that a sweep counts from another."""
    scenario = SweepScenario(SECOND._replace(sequence=0))
    scenario.send(SECOND)

    assert scenario.read() == []


def test_without_streams_the_sweep_finds_everything() -> None:
    scenario = SweepScenario(FIRST)
    scenario.stream = scenario.sweeping(NoStream())

    assert scenario.read() == [(SWEEP, [FIRST.trans_id])]
    assert scenario.read() == []


def test_a_sweep_ends_at_the_streams_position() -> None:
    scenario = SweepScenario()
    scenario.clock.time += 10_000
    scenario.read()
    scenario.log.append(OTHER)
    scenario.read()
    scenario.clock.advance(60.0)
    scenario.read()

    # Only transitions before the position of the stream, however old the others are.
    assert scenario.tags.asked == [BASE, BASE + 1]

    scenario.sweeping(NoStream()).read()
    assert scenario.tags.asked[-1] == scenario.clock.now() - 120.0


def test_the_bridge_tags_before_it_delivers() -> None:
    scenario = SweepScenario()
    scenario.log.append(FIRST, SECOND)
    scenario.log.append(skipped="delete")
    stream = TaggingStream(FakeStream(scenario.log, at(0), 100), scenario.tags)

    batch = stream.read()

    assert isinstance(batch, Batch) and isinstance(batch.events[0], Event)
    assert scenario.tags.put_on == [FIRST, SECOND]
    assert stream.read() is None
