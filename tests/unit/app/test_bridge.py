"""A bridge: it owns the checkpoint, runs sessions, retries, and hands over."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from bridge.app.lifecycle import State
from bridge.app.outcome import Outcome
from bridge.errors import (
    BridgeError,
    Misconfigured,
    NotPermitted,
    ResumePointLost,
    Retryable,
)
from bridge.model.position import ClusterTime, Position
from bridge.pipeline.pulse import PULSE_SECONDS
from tests.support.bridge_on_fakes import BridgeOnFakes
from tests.support.factories import BASE, FULL_BACKOFF, at
from tests.support.fakes import FakeStore

UNREACHABLE = Retryable("the broker is unreachable", part="kafka")
FORGOTTEN = "the oplog no longer reaches back"


def test_a_bridge_delivers_stores_and_hands_over(world: BridgeOnFakes) -> None:
    for _ in range(3):
        world.log.append()

    outcome = world.run(lambda: None, world.acknowledge)

    assert outcome == Outcome()
    assert world.trans_ids() == ["job-0/1", "job-0/2", "job-0/3"]
    assert world.shelf.saves[-1].position == at(3)
    assert world.shelf.owner is None
    assert world.moves == [State.STARTING, State.RUNNING, State.DRAINING, State.STOPPED]


def test_a_stopped_bridge_is_closed(world: BridgeOnFakes) -> None:
    world.run()

    assert (world.source.open_streams, world.kafka.open_producers) == (0, 0)
    assert world.source.closed
    assert world.client.closed
    assert world.bridge.in_flight is None


def test_a_stop_before_the_start_opens_nothing(world: BridgeOnFakes) -> None:
    world.bridge.request_stop()

    assert world.run() == Outcome()

    assert world.moves == [State.STARTING, State.STOPPED]
    assert world.source.opened == []
    assert world.client.closed


def test_a_first_start_stores_before_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    world = BridgeOnFakes(monkeypatch)
    stored: list[int] = []
    world.source.before_open = lambda: stored.append(len(world.shelf.saves))

    world.run()

    assert stored == [1]
    assert world.bridge.start == world.shelf.saves[0].position


def test_failures_are_waited_out_with_a_back_off(world: BridgeOnFakes) -> None:
    """Each pause is longer than the pause before, and the last session delivers."""
    opened: list[float] = []
    world.kafka.before_open = lambda: opened.append(world.clock.monotonic())
    world.kafka.failures = [UNREACHABLE] * 5
    world.log.append()

    outcome = world.run(lambda: None, world.acknowledge)

    pauses = [later - earlier for earlier, later in pairwise(opened)]
    assert pauses == pytest.approx([FULL_BACKOFF.wait(tries) for tries in range(1, 6)])
    assert outcome == Outcome()
    assert world.trans_ids() == ["job-0/1"]
    assert world.bridge.counters.restarts == {"kafka": 5}
    assert world.moves[:3] == [State.STARTING, State.WAITING, State.RUNNING]
    assert str(UNREACHABLE) in world.reasons


def test_a_stop_ends_the_pause_after_a_failure(world: BridgeOnFakes) -> None:
    world.kafka.failures = [UNREACHABLE] * 100
    world.stop.meanwhile = world.bridge.request_stop

    assert world.run() == Outcome()

    assert len(world.kafka.failures) == 99


def test_a_session_starts_at_the_settled_position(world: BridgeOnFakes) -> None:
    """Messages in flight are sent again, and settled ones are not."""
    for _ in range(4):
        world.log.append()

    def fail() -> None:
        world.kafka.producer.acknowledge(2)
        world.kafka.producer.fail(UNREACHABLE)

    world.run(fail, lambda: None, world.acknowledge, world.acknowledge)

    assert [start for start, _ in world.source.opened] == [at(0), at(2)]
    assert world.trans_ids() == [f"job-0/{number}" for number in range(1, 5)]
    assert world.bridge.counters.possible_duplicates == 0


@pytest.mark.parametrize(
    "error", [Misconfigured("the topic does not exist"), NotPermitted("Kafka refuses this user")]
)
def test_a_permanent_error_ends_the_bridge(world: BridgeOnFakes, error: BridgeError) -> None:
    world.kafka.failures = [error]

    with pytest.raises(type(error)):
        world.run()

    assert world.moves[-1] is State.STOPPED
    assert world.client.closed
    assert world.shelf.owner is None


def test_lost_resume_points_are_tried_less_often(world: BridgeOnFakes) -> None:
    """Each session makes a producer, stores a gap and publishes it."""
    world.source.failures = [ResumePointLost(FORGOTTEN) for _ in range(5)]
    opened: list[float] = []
    world.kafka.before_open = lambda: opened.append(world.clock.monotonic())

    world.run(*[lambda: None] * 40)

    pauses = [later - earlier for earlier, later in pairwise(opened)]
    assert len(pauses) == world.bridge.counters.history_lost == 5
    assert all(pause > FULL_BACKOFF.wait(tries) - 1e-6 for tries, pause in enumerate(pauses, 1))
    assert "kafka" not in world.bridge.counters.restarts


def test_a_lost_resume_point_becomes_a_gap(
    world: BridgeOnFakes, caplog: pytest.LogCaptureFixture
) -> None:
    world.log.append()
    world.source.failures = [ResumePointLost(FORGOTTEN)]

    world.run(*[lambda: None] * 8, world.acknowledge)

    gap = world.shelf.saves[0].gap
    assert gap is not None
    assert gap.until.cluster_time == ClusterTime(BASE + 1, gap.until.cluster_time.increment)
    assert world.moves == [
        State.STARTING,
        State.RECOVERING,
        State.RUNNING,
        State.DRAINING,
        State.STOPPED,
    ]
    assert "Nothing is skipped" in caplog.text
    assert world.bridge.recovery is None


def test_a_lost_resume_point_may_stop_the_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    world = BridgeOnFakes(monkeypatch, recovery__on_history_lost="stop")
    world.store_checkpoint()
    world.source.failures = [ResumePointLost(FORGOTTEN)]

    with pytest.raises(ResumePointLost):
        world.run()

    assert [save.gap for save in world.shelf.saves if save.gap] == []


def test_without_positions_a_loss_resumes_from_now(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The tags mark the unsent transitions, so no gap is needed."""
    world = BridgeOnFakes(monkeypatch, delivery__mode="background-transitions", **TAGS)
    world.source.failures = [ResumePointLost(FORGOTTEN)]

    assert world.run() == Outcome()

    assert "nothing is lost, the tags mark the unsent transitions" in caplog.text
    assert len(world.source.opened) == 2
    assert all(save.gap is None for save in world.shelf.saves)


def test_a_standby_takes_over(world: BridgeOnFakes, caplog: pytest.LogCaptureFixture) -> None:
    """It logs once that it waits, and starts when the lease of the owner ends."""
    FakeStore(world.shelf).acquire()

    with caplog.at_level("INFO", "bridge"):
        assert world.run() == Outcome()

    assert world.moves[:4] == [State.STARTING, State.STANDBY, State.STARTING, State.RUNNING]
    assert sum(line.startswith("standby: another bridge owns") for line in caplog.messages) == 1


def test_a_stopped_standby_leaves_the_owner_alone(world: BridgeOnFakes) -> None:
    owner = FakeStore(world.shelf)
    owner.acquire()
    world.stop.meanwhile = world.bridge.request_stop

    assert world.run() == Outcome()

    assert world.shelf.owner is owner
    assert world.moves == [State.STARTING, State.STANDBY, State.STOPPED]
    assert world.source.opened == []


def test_other_stages_open_the_stream_by_time(world: BridgeOnFakes) -> None:
    """Only at the stored position: a later position has a token of the present stages."""
    world.source.fingerprint = "other stages"
    world.log.append()

    def fail() -> None:
        world.acknowledge()
        world.kafka.producer.fail(UNREACHABLE)

    world.run(lambda: None, fail, lambda: None)

    assert world.source.opened == [(at(0), True), (at(1), False)]


def test_a_deployment_without_streams_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    world = BridgeOnFakes(monkeypatch, delivery__mode="background-transitions", **TAGS)
    world.source.streams = False
    assert world.bridge.streams

    world.run()

    assert not world.bridge.streams
    assert world.source.opened == []


#: A service that sets the tags itself; the bridge then keeps no position.
TAGS: dict[str, Any] = {"sweep__transition_tag": "unsent"}


def test_a_server_that_returns_ends_the_pause(world: BridgeOnFakes) -> None:
    """Once for each return: a session that still fails does not make the pauses short."""
    world.kafka.failures = [UNREACHABLE] * 8
    starts: list[float] = []
    world.kafka.before_open = lambda: starts.append(world.clock.monotonic())

    def fifth_pause() -> None:
        if len(starts) == 5:
            world.bridge.retry_now()

    world.stop.meanwhile = fifth_pause

    world.run()

    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert pauses[4] <= PULSE_SECONDS
    assert [pauses[number] for number in (3, 5, 6)] == [
        pytest.approx(FULL_BACKOFF.wait(number + 1)) for number in (3, 5, 6)
    ]


def test_what_was_read_is_known(world: BridgeOnFakes) -> None:
    """Before Kafka has acknowledged it."""
    for _ in range(3):
        world.log.append()
    reached: list[Position | None] = []

    def look() -> None:
        reached.extend([world.bridge.reached, world.bridge.position])

    world.run(look, world.acknowledge)

    assert reached == [at(3), at(0)]
    assert world.bridge.reached is None
