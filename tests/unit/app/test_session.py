"""A session: an open stream, an open producer, and the loop between them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bridge.app.background import Stopped
from bridge.app.lifecycle import State
from bridge.errors import BridgeError, Fenced, NotPermitted, PoisonEvent, Retryable
from bridge.model.gap import Gap
from bridge.model.job_history import JobHistory
from bridge.model.policy import STALL_SECONDS
from bridge.model.position import position_before
from bridge.model.profile import PROFILES
from tests.support.factories import at, transition
from tests.support.fakes import FakeStream
from tests.support.session_scenario import SessionScenario

UNREACHABLE = Retryable("the broker is unreachable")


def test_a_session_opens_the_producer_first() -> None:
    """Reading starts when there is a place to send to."""
    scenario = SessionScenario()
    opened: list[str] = []
    scenario.kafka.before_open = lambda: opened.append("producer")
    scenario.source.before_open = lambda: opened.append("stream")

    scenario.run()

    assert opened == ["producer", "stream"]
    assert scenario.source.opened == [(at(0), False)]


def test_a_ready_session_is_running() -> None:
    scenario = SessionScenario()
    seen: list[object] = []

    def look() -> None:
        seen.extend([scenario.lifecycle.state, scenario.lifecycle.reason])
        seen.append(scenario.session.in_flight is not None)

    scenario.run(look)

    assert seen == [State.RUNNING, "", True]


def test_a_stop_drains_the_session() -> None:
    scenario = SessionScenario()
    scenario.log.append()

    # The first wait is in the loop, the others are in the drain.
    scenario.run(scenario.pulse.request_stop, lambda: None, scenario.acknowledge)

    assert scenario.states == [State.RUNNING, State.DRAINING]
    assert scenario.progress.position == at(1)
    assert scenario.progress.unacknowledged == 0


def test_a_drain_has_a_deadline() -> None:
    scenario = SessionScenario(delivery__drain_seconds="5")
    scenario.log.append()
    started = scenario.clock.monotonic()

    scenario.run()

    assert 5.0 <= scenario.clock.monotonic() - started < 6.0
    assert scenario.progress.unacknowledged == 1


def test_a_failure_drains_and_waits() -> None:
    """Messages acknowledged before the failure are settled; the state has the reason."""
    scenario = SessionScenario()
    for _ in range(2):
        scenario.log.append()
    scenario.log.end()

    with pytest.raises(Retryable, match="the stream ended"):
        scenario.run(scenario.acknowledge, scenario.acknowledge)

    assert scenario.lifecycle.moves[-1] == (State.WAITING, "the stream ended")
    assert scenario.progress.position == at(2)


@pytest.mark.parametrize("error", [UNREACHABLE, PoisonEvent("a message cannot be sent")])
def test_the_error_of_the_producer_is_raised(error: BridgeError) -> None:
    scenario = SessionScenario()
    scenario.log.append()

    with pytest.raises(type(error)) as raised:
        scenario.run(lambda: scenario.kafka.producer.fail(error))

    assert raised.value is error
    assert scenario.states == [State.RUNNING, State.WAITING]
    assert scenario.progress.unacknowledged == 1


def test_a_lost_ownership_drains_nothing() -> None:
    """Nothing may be stored or sent any more: another bridge does that."""
    scenario = SessionScenario()
    scenario.log.append()

    def lose() -> None:
        scenario.shelf.owner = None
        scenario.clock.advance(60.0)
        scenario.acknowledge()

    with pytest.raises(Fenced):
        scenario.run(lose)

    assert scenario.states == [State.RUNNING]
    assert scenario.progress.unacknowledged == 0
    assert scenario.shelf.saves == []


@pytest.mark.parametrize("ended_by", ["stop", "failure", "failed opening"])
def test_a_closed_session_shows_nothing(ended_by: str) -> None:
    scenario = SessionScenario(gap=Gap(None, at(9), 0.0))
    if ended_by == "failed opening":
        scenario.source.failures = [UNREACHABLE]
    try:
        steps = [lambda: scenario.kafka.producer.fail(UNREACHABLE)] if ended_by == "failure" else []
        scenario.run(*steps, lambda: None)
    except Retryable:
        assert ended_by != "stop"

    assert scenario.session.in_flight is None
    assert scenario.session.recovery is None
    assert (scenario.kafka.open_producers, scenario.source.open_streams) == (0, 0)


def test_a_failed_opening_leaves_the_state() -> None:
    """The bridge sets the state when it notes the failure."""
    scenario = SessionScenario()
    scenario.kafka.failures = [UNREACHABLE]

    with pytest.raises(Retryable):
        scenario.run()

    assert scenario.states == []
    assert scenario.source.opened == []


def test_a_stop_during_the_opening_is_raised() -> None:
    """A stop does not wait for a MongoDB that scans its oplog."""
    scenario = SessionScenario()
    over = threading.Event()

    def open_slowly() -> None:
        scenario.pulse.request_stop()
        over.wait(20)

    scenario.source.before_open = open_slowly

    with pytest.raises(Stopped):
        scenario.run()

    over.set()
    assert scenario.states == []


def test_a_finished_recovery_is_running() -> None:
    """The gap comes from the jobs' history, and then the stream resumes after it."""
    scenario = SessionScenario(gap=Gap(None, at(9), 0.0))
    scenario.source.history.jobs = [JobHistory("job-0", [transition(0)], recovery_cursor="t1")]
    shown: list[object] = []

    def look() -> None:
        recovery = scenario.session.recovery
        shown.append((scenario.lifecycle.state, recovery.total if recovery else None))
        if scenario.kafka.producers:
            scenario.acknowledge()

    scenario.run(*[look] * 8)

    assert shown[0] == (State.RECOVERING, 1)
    assert shown[-1] == (State.RUNNING, None)
    assert scenario.states == [State.RECOVERING, State.RUNNING, State.DRAINING]
    assert scenario.source.opened == [(at(9), False)]
    assert scenario.progress.gap is None
    assert scenario.context.counters.recovered == 1
    assert scenario.context.counters.latest_only == 0


@pytest.mark.parametrize("reaches_all", [False, True])
def test_a_stop_after_a_recovery_is_clean(
    monkeypatch: pytest.MonkeyPatch, reaches_all: bool
) -> None:
    """The recovery sent a transition that was written meanwhile; the stream delivers it too."""
    until = position_before(at(1).cluster_time.next())
    scenario = SessionScenario(gap=Gap(None, until, 0.0))
    scenario.log.append(transition(0))
    items = [transition(0), transition(1)]

    def read(*_: object) -> Iterator[JobHistory]:
        scenario.log.append(transition(1))
        return iter([JobHistory("job-0", items, recovery_cursor="t1")])

    monkeypatch.setattr(scenario.source.history, "transitions_in_gap", read)
    if not reaches_all:
        monkeypatch.setattr(FakeStream, "read", lambda _: None)

    scenario.run(*[lambda: None] * 4, scenario.acknowledge, scenario.log.pass_by, lambda: None)
    scenario.progress.save()

    assert scenario.progress.gap is None
    assert scenario.progress.stored.clean is reaches_all
    assert scenario.kafka.producer.sent == 2


def test_jobs_without_history_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    scenario = SessionScenario(gap=Gap(None, at(9), 0.0))
    scenario.source.profile = PROFILES["ee2"]
    scenario.source.history.jobs = [JobHistory("job-0", [transition(0)], recovery_cursor="t1")]

    scenario.run(*[lambda: None] * 4, scenario.acknowledge, lambda: None)

    assert "only each job's latest state can be recovered" in caplog.text
    assert scenario.context.counters.latest_only == 1


def test_other_stages_open_the_stream_by_time() -> None:
    scenario = SessionScenario(other_stages=True)

    scenario.run()

    assert scenario.source.opened == [(at(0), True)]


def test_without_streams_only_the_sweep_works(caplog: pytest.LogCaptureFixture) -> None:
    scenario = SessionScenario(
        delivery__mode="background-transitions", sweep__transition_tag="unsent"
    )
    scenario.source.streams = False

    scenario.run()

    assert not scenario.session.streams
    assert scenario.source.opened == []
    assert "only the sweep finds transitions" in caplog.text


def test_a_stall_is_logged_with_the_clients_warning(caplog: pytest.LogCaptureFixture) -> None:
    scenario = SessionScenario()
    scenario.log.append()

    def warn() -> None:
        scenario.kafka.producer.warning = "connection refused"
        scenario.clock.advance(STALL_SECONDS + 1)

    scenario.run(warn, lambda: None, scenario.acknowledge)

    assert "(connection refused). Reading is paused, nothing is lost" in caplog.text
    assert scenario.session.complaint() == "connection refused"


def test_a_session_without_a_client_has_no_warning() -> None:
    assert SessionScenario().session.complaint() == ""


def test_fire_and_forget_bounds_its_own_window() -> None:
    """The window of the loop settles at once; the messages in flight have another one."""
    scenario = SessionScenario(delivery__mode="fire-and-forget")
    scenario.log.append()
    counts: list[int] = []

    def look() -> None:
        assert scenario.session.in_flight is not None
        counts.append(scenario.session.in_flight.count)

    scenario.run(look, scenario.acknowledge, look)

    assert counts == [1, 0]
    assert scenario.progress.position == at(1)


def test_a_missing_right_to_untag_sends_nothing() -> None:
    """Each transition would be sent again after it."""
    scenario = SessionScenario(delivery__mode="background-jobs", sweep__job_tag="unsent")
    scenario.source.tag_failures = [NotPermitted("no update on jobs", part="mongodb")]
    scenario.log.append()

    with pytest.raises(NotPermitted):
        scenario.run()

    assert scenario.kafka.broker.messages("jobs") == []
