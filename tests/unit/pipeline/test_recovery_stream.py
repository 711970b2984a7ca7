"""Recovery: a gap is told by history, in order, and the stream goes on behind it, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import islice
from operator import attrgetter

import pytest

from bridge.errors import ResumePointLost, Retryable
from bridge.model.gap import Gap, gap_between
from bridge.model.job_history import JobHistory
from bridge.model.position import ClusterTime, Position, position_before
from bridge.model.transition import RECOVERY, Transition
from bridge.pipeline.loop import Loop
from bridge.pipeline.ports import Stream
from bridge.pipeline.recovery_stream import RecoveryProgress, RecoveryStream
from tests.support.factories import BASE, at, job, transition
from tests.support.fakes import FakeStream
from tests.support.in_memory_bridge import Rig

LOST, NOW = at(0), position_before(ClusterTime(BASE + 100))
GAP = gap_between(LOST, NOW, 10.0, BASE + 100)


def told(number: int, *seconds: int) -> JobHistory:
    """A job with transitions at these seconds, last updated at the latest of them."""
    items = [
        Transition(
            job(number),
            f"s{n}",
            datetime.fromtimestamp(BASE + second, timezone.utc).isoformat(),
            f"{number}/{n}",
            n,
        )
        for n, second in enumerate(seconds)
    ]
    return JobHistory(job(number), items, recovery_cursor=f"t{BASE + max(seconds):016x}")


class Desk:
    """A rig whose stream is a recovery; the jobs are those of a collection, in the order of their last update."""

    def __init__(self, *jobs: JobHistory) -> None:
        self.rig = Rig()
        self.jobs = sorted(jobs, key=attrgetter("recovery_cursor"))
        self.rig.progress.lose(GAP)
        self.failure: ResumePointLost | None = None
        self.again()

    def again(self) -> None:
        """Another run, at the settled position."""
        rig, gap = self.rig, self.rig.progress.gap
        rig.again()
        assert gap is not None
        self.report = RecoveryProgress(gap, len(self.jobs), rig.clock)
        jobs = self._read(rig.progress.position)
        self.stream = RecoveryStream(
            lambda most: list(islice(jobs, most)),
            gap,
            rig.progress.position,
            self._follow,
            self.report,
            rig.counters,
            latest_only=False,
        )
        rig.stream = self.stream  # type: ignore[assignment]
        rig.loop = Loop(
            self.stream,
            rig.sink,
            rig.window,
            rig.publisher,
            rig.progress,
            rig.wake,
            rig.stop,
            rig.clock,
            rig.counters,
            rig._on_turn,
        )

    def _read(self, start: Position) -> Iterator[JobHistory]:
        return iter([one for one in self.jobs if one.recovery_cursor >= start.recovery_cursor])

    def _follow(self) -> Stream:
        if self.failure is not None:
            raise self.failure
        return FakeStream(self.rig.log, NOW)

    def states(self) -> list[str]:
        return [
            one.value.decode().partition('"trans_id": ')[2].strip('"}')
            for one in self.rig.delivered()
        ]


def acknowledged(desk: Desk, turns: int = 4) -> None:
    desk.rig.run(*[desk.rig.sink.acknowledge] * turns)


def test_what_belongs_to_the_gap_is_sent_and_the_rest_left_out() -> None:
    desk = Desk(told(1, -50, 5), told(2, 20, 30, 40), told(3, -40, -20), told(4, 90, 400))

    acknowledged(desk)

    assert sorted(desk.states()) == ["1/1", "2/0", "2/1", "2/2", "4/0", "4/1"]
    assert desk.rig.counters.recovered == 6
    assert desk.rig.progress.position == NOW
    assert desk.rig.progress.gap is None


def test_everything_recovered_says_so() -> None:
    desk = Desk(told(1, 5, 6))

    batch = desk.stream.read()

    assert batch is not None
    assert [(event.origin, len(event.items)) for event in batch.events] == [(RECOVERY, 2)]


def test_a_job_that_comes_again_is_told_once() -> None:
    """What it got meanwhile is the stream's to tell: it was written behind the end of the gap."""
    desk = Desk(told(1, 5), told(2, 6), told(1, 5, 95), told(3, 3))

    acknowledged(desk)

    assert sorted(desk.states()) == ["1/0", "2/0", "3/0"]
    assert desk.report.done == 3


def test_the_gap_ends_when_all_of_it_is_settled_and_not_before() -> None:
    desk = Desk(told(1, 5), told(2, 6))

    desk.rig.turn(4)

    assert desk.rig.progress.gap == GAP
    assert desk.rig.progress.position < NOW


def test_the_streams_events_come_behind_the_gap() -> None:
    desk = Desk(told(1, 5))
    event = desk.rig.log.append(transition(1, job_id=job(1)))._replace(position=at(200))
    desk.rig.log.events[:], desk.rig.log.position = [event], at(200)

    acknowledged(desk, 6)

    assert desk.states() == ["1/0", f"{job(1)}/1"]
    assert desk.rig.progress.position == at(200)


def test_a_crash_in_the_middle_goes_on_where_it_was() -> None:
    desk = Desk(told(1, 5), told(2, 6), told(3, 7))
    desk.rig.turn(1)
    desk.rig.sink.acknowledge_key(job(1))
    desk.rig.clock.advance(20)
    desk.rig.turn(1)
    stored = desk.rig.stored
    assert stored.gap == GAP
    assert stored.position == LOST._replace(recovery_cursor=told(1, 5).recovery_cursor)

    desk.rig.begin()
    desk.again()
    acknowledged(desk)

    # What was settled last may be told once more: others may share its time.
    assert sorted(desk.states()) == ["1/0", "1/0", "2/0", "3/0"]
    assert desk.rig.progress.position == NOW


def test_a_failure_of_the_sink_repeats_what_was_in_flight_and_loses_nothing() -> None:
    desk = Desk(told(1, 5), told(2, 6))
    desk.rig.turn(1)
    desk.rig.sink.fail(Retryable("the broker is gone"))
    with pytest.raises(Retryable):
        desk.rig.turn(1)

    desk.again()
    acknowledged(desk)

    assert sorted(desk.states()) == ["1/0", "2/0"]


def test_a_stream_that_was_lost_meanwhile_makes_the_gap_longer() -> None:
    desk = Desk(told(1, 5))
    desk.failure = ResumePointLost("the oplog has forgotten that too")
    with pytest.raises(ResumePointLost):
        desk.rig.run(*[desk.rig.sink.acknowledge] * 4)
    desk.rig.loop.drain(1.0)
    assert desk.states() == ["1/0"]

    desk.jobs.append(told(2, 150))
    later = position_before(ClusterTime(BASE + 300))
    desk.rig.progress.lose(gap_between(desk.rig.progress.position, later, 10.0, BASE + 300))

    assert desk.rig.progress.gap == Gap(GAP.since, later, BASE + 290.0, reread_from=BASE + 90.0)
    desk.failure = None
    desk.again()
    acknowledged(desk)
    assert "2/0" in desk.states()
    assert desk.rig.progress.position == later


def test_a_report_tells_how_far_it_is_and_how_long_it_will_take() -> None:
    desk = Desk(told(1, 5))
    report = RecoveryProgress(GAP, 100, desk.rig.clock)
    assert report.eta_seconds is None

    desk.rig.clock.advance(10.0)
    report.read(25)

    assert report.eta_seconds == pytest.approx(30.0)
    assert str(report) == "publishing from the jobs' history: 25 of 100 jobs read, about 30 s to go"
    assert report.document() | {"since": 0} == {
        "since": 0,
        "until": str(NOW),
        "jobs_done": 25,
        "jobs_total": 100,
        "eta_seconds": pytest.approx(30.0),
    }


def test_without_a_count_there_is_no_estimate() -> None:
    report = RecoveryProgress(GAP, None, Rig().clock)
    report.read(25)

    assert report.eta_seconds is None
    assert "25 of ? jobs read" in str(report)
