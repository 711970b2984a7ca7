"""Recovery: a gap is published from the jobs' history, in order, and then the stream resumes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from operator import attrgetter

import pytest

from bridge.errors import ResumePointLost, Retryable
from bridge.model.gap import Gap, gap_between
from bridge.model.job_history import JobHistory
from bridge.model.position import ClusterTime
from bridge.model.transition import RECOVERY, Transition
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.ports import Stream
from bridge.pipeline.pulse import Pulse
from bridge.pipeline.recovery_progress import RecoveryProgress
from bridge.pipeline.recovery_stream import RecoveryStream
from tests.support.factories import BASE, at, checkpoint_at, job, transition
from tests.support.fakes import FakeClock, FakeStream
from tests.support.in_memory_bridge import InMemoryBridge
from tests.support.slow_readers import PolledCall, PolledReader

LOST = at(0)
NOW = checkpoint_at(ClusterTime(BASE + 100)).position
GAP = gap_between(LOST, NOW, 10.0, BASE + 100)


def stored_job(number: int, *seconds: int) -> JobHistory:
    """Return a job with transitions at these seconds, last updated at the latest of them."""
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


class RecoveryScenario(InMemoryBridge):
    """A bridge that recovers a gap; ``jobs`` is the collection, by the time of the last update."""

    def __init__(self, *jobs: JobHistory, latest_only: bool = False) -> None:
        self.jobs = sorted(jobs, key=attrgetter("recovery_cursor"))
        self.failure: ResumePointLost | None = None
        self._latest_only = latest_only
        super().__init__()
        self.progress.lose(GAP)
        self.new_session()

    def make_stream(self) -> Stream:
        gap = self.progress.gap
        if gap is None:
            return super().make_stream()
        self.recovery = RecoveryProgress(gap, len(self.jobs), self.context)
        return RecoveryStream(
            PolledReader(self._read(self.position.recovery_cursor)),
            PolledCall(self._follow),
            gap,
            start=self.position,
            progress=self.recovery,
            latest_only=self._latest_only,
        )

    def _read(self, cursor: str) -> Iterator[JobHistory]:
        return iter([stored for stored in self.jobs if stored.recovery_cursor >= cursor])

    def _follow(self) -> Stream:
        if self.failure is not None:
            raise self.failure
        return FakeStream(self.log, NOW)

    def states(self) -> list[str]:
        """Return the ids of the delivered transitions."""
        return [json.loads(message.value)["trans_id"] for message in self.delivered()]

    def acknowledge(self, turns: int = 4) -> None:
        """Turn the loop; Kafka acknowledges everything after each turn."""
        self.run(*[self.sink.acknowledge] * turns)


def test_only_transitions_of_the_gap_are_sent() -> None:
    scenario = RecoveryScenario(
        stored_job(1, -50, 5),
        stored_job(2, 20, 30, 40),
        stored_job(3, -40, -20),
        stored_job(4, 90, 400),
    )

    scenario.acknowledge()

    assert sorted(scenario.states()) == ["1/1", "2/0", "2/1", "2/2", "4/0", "4/1"]
    assert scenario.counters.recovered == 6
    assert scenario.progress.position == NOW
    assert scenario.progress.gap is None


def test_recovered_events_have_their_origin() -> None:
    scenario = RecoveryScenario(stored_job(1, 5, 6))

    batch = scenario.stream.read()

    assert batch is not None
    assert [(event.origin, len(event.items)) for event in batch.events] == [(RECOVERY, 2)]


def test_a_job_read_twice_is_sent_once() -> None:
    """The stream will deliver what changed: it was written after the end of the gap."""
    scenario = RecoveryScenario(
        stored_job(1, 5), stored_job(2, 6), stored_job(1, 5, 95), stored_job(3, 3)
    )

    scenario.acknowledge()

    assert sorted(scenario.states()) == ["1/0", "2/0", "3/0"]
    assert scenario.recovery.done == 3


def test_the_gap_ends_when_settled() -> None:
    scenario = RecoveryScenario(stored_job(1, 5), stored_job(2, 6))

    scenario.turn(4)

    assert scenario.progress.gap == GAP
    assert scenario.progress.position < NOW


def test_the_stream_follows_the_gap() -> None:
    scenario = RecoveryScenario(stored_job(1, 5))
    event = scenario.log.append(transition(1, job_id=job(1)))._replace(position=at(200))
    scenario.log.events[:], scenario.log.position = [event], at(200)

    scenario.acknowledge(6)

    assert scenario.states() == ["1/0", f"{job(1)}/1"]
    assert scenario.progress.position == at(200)


def test_a_crash_resumes_at_the_cursor() -> None:
    """The last settled job is read twice, because others may share its update time."""
    scenario = RecoveryScenario(stored_job(1, 5), stored_job(2, 6), stored_job(3, 7))
    scenario.turn(1)
    scenario.sink.acknowledge_key(job(1))
    scenario.clock.advance(20)
    scenario.turn(1)
    stored = scenario.stored
    assert stored.gap == GAP
    assert stored.position == LOST._replace(recovery_cursor=stored_job(1, 5).recovery_cursor)

    scenario.start_process()
    scenario.acknowledge()

    assert sorted(scenario.states()) == ["1/0", "2/0", "3/0"]
    assert scenario.counters.left_out == 1
    assert scenario.progress.position == NOW


def test_a_failed_sink_repeats_jobs_in_flight() -> None:
    scenario = RecoveryScenario(stored_job(1, 5), stored_job(2, 6))
    scenario.turn(1)
    scenario.sink.fail(Retryable("the broker is gone"))
    with pytest.raises(Retryable):
        scenario.turn(1)

    scenario.new_session()
    scenario.acknowledge()

    assert sorted(scenario.states()) == ["1/0", "2/0"]


def test_a_second_loss_extends_the_gap() -> None:
    scenario = RecoveryScenario(stored_job(1, 5))
    scenario.failure = ResumePointLost("the oplog no longer reaches back to that either")
    with pytest.raises(ResumePointLost):
        scenario.run(*[scenario.sink.acknowledge] * 4)
    scenario.loop.drain(1.0)
    assert scenario.states() == ["1/0"]

    scenario.jobs.append(stored_job(2, 150))
    later = checkpoint_at(ClusterTime(BASE + 300)).position
    scenario.progress.lose(gap_between(scenario.progress.position, later, 10.0, BASE + 300))

    assert scenario.progress.gap == Gap(GAP.since, later, BASE + 290.0, reread_from=BASE + 90.0)
    scenario.failure = None
    scenario.new_session()
    scenario.acknowledge()
    assert "2/0" in scenario.states()
    assert scenario.progress.position == later


def test_the_progress_estimates_the_rest() -> None:
    clock = FakeClock()
    progress = RecoveryProgress(GAP, 100, PipelineContext(Pulse(clock)))
    assert progress.eta_seconds is None

    clock.advance(10.0)
    progress.read(25)

    assert progress.eta_seconds == pytest.approx(30.0)
    assert str(progress) == (
        "recovering from the jobs' history: 25 of 100 jobs read, "
        "transitions since 2023-11-14T22:13:10+00:00, about 30 s left"
    )
    assert progress.document() | {"since": 0} == {
        "since": 0,
        "until": str(NOW),
        "jobs_done": 25,
        "jobs_total": 100,
        "eta_seconds": pytest.approx(30.0),
    }


def test_an_unknown_total_has_no_estimate() -> None:
    progress = RecoveryProgress(GAP, None, PipelineContext(Pulse(FakeClock())))
    progress.read(25)

    assert progress.eta_seconds is None
    assert "25 of ? jobs read" in str(progress)


def test_all_history_has_no_first_time() -> None:
    progress = RecoveryProgress(replace(GAP, since=None), 3, PipelineContext(Pulse(FakeClock())))

    assert str(progress) == ("recovering from the jobs' history: 0 of 3 jobs read, all transitions")


def test_jobs_without_history_count_as_latest_only() -> None:
    """Only jobs of which a transition is sent count."""
    scenario = RecoveryScenario(
        stored_job(1, 5), stored_job(2, 6), stored_job(3, -50), latest_only=True
    )

    scenario.acknowledge()

    assert sorted(scenario.states()) == ["1/0", "2/0"]
    assert scenario.counters.latest_only == 2


def test_the_stream_waits_for_a_slow_history() -> None:
    """The loop keeps its turns while MongoDB reads the jobs."""
    bridge = InMemoryBridge()
    stream = RecoveryStream(
        PolledReader(iter([stored_job(1, 5)]), polls=3),
        PolledCall(lambda: FakeStream(bridge.log, NOW)),
        GAP,
        start=LOST,
        progress=RecoveryProgress(GAP, 1, bridge.context),
        latest_only=False,
    )

    batches = [stream.read() for _ in range(4)]

    assert batches[:2] == [None, None]
    assert [batch and batch.position < NOW for batch in batches[2:]] == [True, False]
