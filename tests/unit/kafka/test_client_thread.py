"""The thread that makes the calls of a transactional producer, on a client in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from bridge.errors import BridgeError, Retryable
from bridge.kafka.librdkafka import client_thread
from bridge.kafka.librdkafka.client import make_latest_warning
from bridge.kafka.librdkafka.client_thread import ClientThread, Deadline, FirstFailure

#: Generous: only a thread that hangs reaches it.
SECONDS = 30.0


class FakeClient:
    """A client with messages in flight until ``acknowledge``."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.error: Exception | None = None
        self.polled = threading.Event()

    def __len__(self) -> int:
        return self.in_flight

    def poll(self, seconds: float) -> None:
        self.polled.set()
        if self.error is not None:
            raise self.error
        time.sleep(0.001)


class ThreadScenario:
    def __init__(self) -> None:
        client: Any = FakeClient()
        self.client: FakeClient = client
        self.failure = FirstFailure("job-bridge-jobs", make_latest_warning())
        self.thread = ClientThread(client, self.failure)
        self.calls: list[str] = []
        self.release = threading.Event()

    def hang(self) -> None:
        self.release.wait(SECONDS)

    def deadline(self, seconds: float = SECONDS) -> Deadline:
        return Deadline(time.monotonic() + seconds, lambda: Retryable("it is late"))


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadScenario]:
    monkeypatch.setattr(client_thread, "_IDLE_SECONDS", 0.01)
    scenario = ThreadScenario()
    yield scenario
    scenario.release.set()
    scenario.thread.close()


def test_a_call_waits_for_all_acknowledgements(scenario: ThreadScenario) -> None:
    scenario.client.in_flight = 1
    call = scenario.thread.call(lambda: scenario.calls.append("commit"), scenario.deadline())
    assert scenario.client.polled.wait(SECONDS)
    assert scenario.calls == []

    scenario.client.in_flight = 0

    assert call.result(SECONDS) is None
    assert scenario.calls == ["commit"]


def test_after_a_failure_no_call_is_made(scenario: ThreadScenario) -> None:
    scenario.failure.note(Retryable("a message failed"))
    call = scenario.thread.call(lambda: scenario.calls.append("commit"), scenario.deadline())

    with pytest.raises(Retryable, match="a message failed"):
        call.result(SECONDS)
    assert scenario.calls == []


def test_a_hanging_call_ends_late(scenario: ThreadScenario) -> None:
    call = scenario.thread.call(scenario.hang, scenario.deadline(0.05))

    with pytest.raises(Retryable, match="it is late"):
        call.result(SECONDS)

    assert scenario.failure.happened


def test_closing_ends_the_call_under_way(scenario: ThreadScenario) -> None:
    call = scenario.thread.call(scenario.hang, scenario.deadline())
    scenario.thread.close()

    with pytest.raises(Retryable, match="discarded"):
        call.result(SECONDS)


def test_an_error_of_the_client_wakes(scenario: ThreadScenario) -> None:
    wake = threading.Event()
    scenario.failure.wake = wake
    scenario.client.error = KafkaException(KafkaError(KafkaError._FENCED))
    scenario.client.in_flight = 1
    scenario.thread.serve()

    assert wake.wait(SECONDS)
    with pytest.raises(Retryable, match="another process uses its transactional id"):
        raise scenario.failure.error()


def test_an_unexpected_error_is_logged(
    scenario: ThreadScenario, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("a defect")

    with pytest.raises(BridgeError, match="a defect"):
        scenario.thread.call(fail, scenario.deadline()).result(SECONDS)

    assert "the producer is discarded" in caplog.text


def test_the_first_failure_is_kept(scenario: ThreadScenario) -> None:
    scenario.failure.note(Retryable("first"))
    scenario.failure.note(Retryable("second"))

    with pytest.raises(Retryable, match="first"):
        raise scenario.failure.error()
