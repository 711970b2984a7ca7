"""A probe: how it keeps the answers of a server, and how soon it asks again."""

from __future__ import annotations

import threading

import pytest

from bridge.app.probe import FAILED_SECONDS, WELL_SECONDS, Probe
from bridge.errors import NotPermitted, Retryable
from bridge.model.health import ANSWER_SECONDS
from bridge.model.window import Window
from tests.support.factories import at, delivery
from tests.support.fakes import FakeClock


class FakeCheck:
    """A question to a server that fails with ``failure``, and ``asked`` counts it."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.problem = ""
        self.asked = threading.Semaphore(0)
        self.closed = threading.Event()

    def ask(self) -> None:
        self.asked.release()
        if self.failure is not None:
            raise self.failure

    def reason(self, now: float) -> str:
        return self.problem

    def close(self) -> None:
        self.closed.set()


class ProbeScenario:
    """A probe that tests ask themselves, and its bridge; ``returns`` counts the retries."""

    def __init__(self, *, looping: bool = True, logs_silence: bool = True) -> None:
        self.clock = FakeClock()
        self.check = FakeCheck()
        self.looping = looping
        self.in_flight: Window | None = None
        self.returns = 0
        self.probe = Probe("Kafka", self.check, self.clock, bridge=self, logs_silence=logs_silence)

    def retry_now(self) -> None:
        self.returns += 1

    def fail(self, failure: Exception | None) -> float:
        """Let the next questions fail, and ask once."""
        self.check.failure = failure
        return self.probe.ask()


UNREACHABLE = Retryable("Kafka is unreachable", part="kafka")


def test_a_server_that_answers_is_up() -> None:
    scenario = ProbeScenario()
    assert scenario.probe.up is None

    assert scenario.probe.ask() == WELL_SECONDS

    assert scenario.probe.up is True
    assert scenario.probe.reasons() == []
    assert scenario.returns == 0


def test_an_idle_server_stays_up() -> None:
    scenario = ProbeScenario()
    for _ in range(1000):
        scenario.clock.advance(scenario.probe.ask())
        assert scenario.probe.reasons() == []


def test_an_outage_is_a_reason_in_time() -> None:
    scenario = ProbeScenario()
    scenario.probe.ask()
    seconds = 0.0
    while not scenario.probe.reasons():
        pause = scenario.fail(UNREACHABLE)
        scenario.clock.advance(pause)
        seconds += pause

    assert seconds <= ANSWER_SECONDS + FAILED_SECONDS
    assert scenario.probe.reasons() == ["Kafka is unreachable"]
    assert scenario.probe.up is False


def test_the_end_of_an_outage_shows_soon() -> None:
    scenario = ProbeScenario()
    pause = scenario.fail(UNREACHABLE)
    scenario.clock.advance(60.0)
    assert pause == FAILED_SECONDS < 1.0

    scenario.fail(None)

    assert scenario.probe.reasons() == []
    assert scenario.returns == 1


def test_a_missing_permission_counts_at_once() -> None:
    scenario = ProbeScenario()
    scenario.probe.ask()

    scenario.fail(NotPermitted("Kafka refuses this user", part="kafka"))

    assert scenario.probe.reasons() == ["Kafka refuses this user"]


def test_a_problem_beside_an_answer_counts() -> None:
    """The server answers, and what it answers keeps the bridge from working."""
    scenario = ProbeScenario()
    scenario.check.problem = "the documents do not fit"

    assert scenario.probe.ask() == FAILED_SECONDS

    assert scenario.probe.reasons() == ["the documents do not fit"]
    assert scenario.probe.up is True


def test_an_outage_and_its_end_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    scenario = ProbeScenario()
    with caplog.at_level("INFO", "bridge"):
        scenario.fail(UNREACHABLE)
        assert caplog.messages == [], "a single failure is no outage"
        scenario.clock.advance(ANSWER_SECONDS)
        scenario.probe.ask()
        scenario.clock.advance(1.0)
        scenario.probe.ask()
        scenario.clock.advance(1.0)
        scenario.fail(None)

    assert caplog.messages == [
        "not ready: Kafka is unreachable",
        "Kafka works again after 2.0 s",
    ]


@pytest.mark.parametrize("options", [{"looping": False}, {"logs_silence": False}])
def test_a_session_reports_its_own_failure(
    options: dict[str, bool], caplog: pytest.LogCaptureFixture
) -> None:
    scenario = ProbeScenario(**options)
    scenario.clock.advance(ANSWER_SECONDS)

    scenario.fail(UNREACHABLE)

    assert scenario.probe.reasons() == ["Kafka is unreachable"]
    assert caplog.messages == []


def test_a_session_reports_waiting_messages(caplog: pytest.LogCaptureFixture) -> None:
    """Its line has the cause too; the probe's would be a second one."""
    scenario = ProbeScenario()
    window = Window(at(0), 10, 1000)
    sent = delivery(1)
    window.admit(sent)
    scenario.in_flight = window
    scenario.clock.advance(ANSWER_SECONDS)

    scenario.fail(UNREACHABLE)
    assert scenario.probe.reasons() == ["Kafka is unreachable"]
    assert caplog.messages == []

    window.settle([sent])
    window.advance()
    scenario.fail(UNREACHABLE)
    assert caplog.messages == ["not ready: Kafka is unreachable"]


def test_a_bug_ends_no_probe(caplog: pytest.LogCaptureFixture) -> None:
    scenario = ProbeScenario()

    assert scenario.fail(RuntimeError("a bug")) == FAILED_SECONDS
    assert scenario.fail(None) == WELL_SECONDS

    assert "the probe of Kafka failed" in caplog.text


def test_the_thread_asks_until_it_is_stopped() -> None:
    scenario = ProbeScenario()
    scenario.check.failure = UNREACHABLE  # it asks again soon
    scenario.probe.start()
    assert scenario.check.asked.acquire(timeout=10)
    assert scenario.check.asked.acquire(timeout=10)

    scenario.probe.stop()
    scenario.probe.join()

    assert scenario.check.closed.is_set()


def test_a_probe_that_was_not_started_ends() -> None:
    scenario = ProbeScenario()
    scenario.probe.stop()
    scenario.probe.join()

    assert not scenario.check.closed.is_set()
