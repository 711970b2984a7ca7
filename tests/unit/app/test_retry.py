"""Retry: which failures end a bridge, and how long it waits before the next session."""

from __future__ import annotations

import pytest

from bridge.app.retry import HEALTHY_SECONDS, PERMISSION_PATIENCE_SECONDS, Retry
from bridge.errors import Misconfigured, NotPermitted, Retryable, Unreachable
from tests.support.factories import FULL_BACKOFF
from tests.support.fakes import FakeClock

UNREACHABLE = Retryable("the broker is unreachable")
REFUSED = NotPermitted("Kafka refuses this user")
UNTRUSTED = Misconfigured("the broker's certificate is not trusted")


class RetryScenario:
    """Consecutive sessions of a bridge on a fake clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.retry = Retry(self.clock, FULL_BACKOFF)

    def session(self, ready_seconds: float | None = None) -> None:
        """Run a session; ``ready_seconds`` is how long it was ready, None when it never was."""
        self.retry.session_started()
        if ready_seconds is not None:
            self.retry.session_ready()
            self.clock.advance(ready_seconds)


@pytest.fixture
def scenario() -> RetryScenario:
    return RetryScenario()


def backoffs(count: int) -> list[float]:
    return [FULL_BACKOFF.wait(tries) for tries in range(1, count + 1)]


def test_the_back_off_grows_with_each_failure(scenario: RetryScenario) -> None:
    pauses = []
    for _ in range(5):
        scenario.session()
        scenario.retry.failed(UNREACHABLE)
        pauses.append(scenario.retry.pause_seconds())

    assert pauses == backoffs(5)


def test_the_back_off_grows_with_lost_resume_points(scenario: RetryScenario) -> None:
    """Each session makes a producer, stores a gap and publishes it, although nothing is retried."""
    pauses = []
    for _ in range(5):
        scenario.session(ready_seconds=1.0)
        pauses.append(scenario.retry.pause_seconds())

    assert pauses == backoffs(5)


def test_a_healthy_session_resets_the_back_off(scenario: RetryScenario) -> None:
    for _ in range(4):
        scenario.session()
        scenario.retry.failed(UNREACHABLE)
        scenario.retry.pause_seconds()

    scenario.session(ready_seconds=HEALTHY_SECONDS + 0.1)
    scenario.retry.failed(UNREACHABLE)

    assert scenario.retry.pause_seconds() == FULL_BACKOFF.wait(1)
    scenario.session()
    scenario.retry.failed(UNREACHABLE)
    assert scenario.retry.pause_seconds() == FULL_BACKOFF.wait(2)


def test_a_short_session_is_not_healthy(scenario: RetryScenario) -> None:
    scenario.session()
    scenario.retry.failed(UNREACHABLE)
    scenario.retry.pause_seconds()

    scenario.session(ready_seconds=HEALTHY_SECONDS)
    scenario.retry.failed(UNREACHABLE)

    assert scenario.retry.pause_seconds() == FULL_BACKOFF.wait(2)


def test_the_health_of_an_earlier_session_is_past(scenario: RetryScenario) -> None:
    """A session that never became ready fails for as long as it lasts, not since the last one."""
    scenario.session(ready_seconds=HEALTHY_SECONDS + 1)
    scenario.retry.failed(UNREACHABLE)
    scenario.retry.pause_seconds()

    scenario.session()
    scenario.clock.advance(60.0)
    scenario.retry.failed(UNREACHABLE)

    assert scenario.retry.pause_seconds() == FULL_BACKOFF.wait(2)


def test_a_refusal_before_any_success_is_raised(scenario: RetryScenario) -> None:
    """Wrong permissions from the start are a mistake that a person has to correct."""
    scenario.session()

    with pytest.raises(NotPermitted) as raised:
        scenario.retry.failed(REFUSED)

    assert raised.value is REFUSED


def test_withdrawn_permissions_are_waited_for(scenario: RetryScenario) -> None:
    scenario.session(ready_seconds=1.0)
    scenario.retry.failed(REFUSED)
    scenario.clock.advance(PERMISSION_PATIENCE_SECONDS)

    scenario.session()
    scenario.retry.failed(REFUSED)

    scenario.clock.advance(0.1)
    scenario.session()
    with pytest.raises(NotPermitted):
        scenario.retry.failed(REFUSED)


def test_the_patience_is_ten_minutes() -> None:
    assert PERMISSION_PATIENCE_SECONDS == 600.0


def test_short_sessions_do_not_renew_the_patience(scenario: RetryScenario) -> None:
    """A session that is ready for a moment proves nothing: its first message is refused."""
    started = scenario.clock.monotonic()

    with pytest.raises(NotPermitted):
        for _ in range(100):
            scenario.session(ready_seconds=1.0)
            scenario.retry.failed(REFUSED)
            scenario.clock.advance(29.0)

    waited = scenario.clock.monotonic() - started
    assert PERMISSION_PATIENCE_SECONDS <= waited < PERMISSION_PATIENCE_SECONDS + 60


def test_a_healthy_session_renews_the_patience(scenario: RetryScenario) -> None:
    scenario.session(ready_seconds=1.0)
    scenario.retry.failed(REFUSED)

    scenario.session(ready_seconds=3600.0)
    scenario.retry.failed(REFUSED)
    scenario.clock.advance(PERMISSION_PATIENCE_SECONDS)
    scenario.session()

    scenario.retry.failed(REFUSED)


def test_a_wrong_setting_at_start_is_raised(scenario: RetryScenario) -> None:
    scenario.session()

    with pytest.raises(Misconfigured) as raised:
        scenario.retry.failed(UNTRUSTED)

    assert raised.value is UNTRUSTED


def test_a_setting_that_worked_is_waited_for(
    scenario: RetryScenario, caplog: pytest.LogCaptureFixture
) -> None:
    """A certificate, a file or a topic that is wrong now may soon be right again."""
    scenario.session(ready_seconds=0.0)
    for _ in range(100):
        scenario.retry.failed(UNTRUSTED)
        scenario.clock.advance(29.0)
        scenario.session()

    assert caplog.messages[0] == (
        "the broker's certificate is not trusted. "
        "The bridge worked before, so it waits, although at a start it would end"
    )
    assert "for " in caplog.messages[-1]


def test_an_unreachable_server_is_tried_again_soon(scenario: RetryScenario) -> None:
    """Each attempt waits for a server itself; a longer pause would only delay the first message."""
    pauses = []
    for _ in range(10):
        scenario.session()
        scenario.retry.failed(Unreachable("Kafka refuses connections"))
        pauses.append(scenario.retry.pause_seconds())

    assert pauses == [min(pause, 2.0) for pause in backoffs(10)]
    scenario.session()
    scenario.retry.failed(UNREACHABLE)
    assert scenario.retry.pause_seconds() == FULL_BACKOFF.wait(11)


def test_failures_last_until_a_healthy_session(scenario: RetryScenario) -> None:
    assert scenario.retry.failing_seconds() == 0.0
    scenario.retry.failed(UNREACHABLE)
    scenario.clock.advance(40.0)
    scenario.session(ready_seconds=1.0)
    scenario.retry.failed(UNREACHABLE)
    assert scenario.retry.failing_seconds() == 41.0

    scenario.session(ready_seconds=HEALTHY_SECONDS + 1)
    scenario.retry.failed(UNREACHABLE)
    scenario.clock.advance(3.0)

    assert scenario.retry.failing_seconds() == 3.0


def test_a_failure_and_its_end_are_logged(
    scenario: RetryScenario, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "bridge"):
        scenario.session(ready_seconds=1.0)
        scenario.retry.failed(UNREACHABLE)
        scenario.clock.advance(7.0)
        scenario.retry.failed(UNREACHABLE)
        scenario.session(ready_seconds=1.0)

    assert caplog.messages == ["the broker is unreachable", "working again after 7.0 s"]


def test_two_bridges_log_their_failures_apart(caplog: pytest.LogCaptureFixture) -> None:
    for scenario in (RetryScenario(), RetryScenario()):
        scenario.session()
        scenario.retry.failed(UNREACHABLE)

    assert caplog.messages == ["the broker is unreachable"] * 2
