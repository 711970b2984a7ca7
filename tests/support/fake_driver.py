"""A Kafka driver in memory, for notifiers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from bridge.errors import BridgeError
from bridge.model.window import Sending
from bridge.settings import Settings
from tests.support.fake_kafka import FakeBroker, FakeSink


class FakeDriver:
    """Opens sinks that acknowledge at once, unless ``failure`` is raised or ``silent``.

    ``attempts``: how often a sink was opened.
    """

    def __init__(self, topic: str = "jobs", max_bytes: int = 1_000) -> None:
        self.broker = FakeBroker(topic, max_bytes=max_bytes)
        self.failure: BridgeError | None = None
        self.silent = False
        self.attempts = 0
        self.attempted = Event()

    @contextmanager
    def sink(self, settings: Settings, dead_letters: None, wake: Event) -> Iterator[FakeSink]:
        self.attempts += 1
        self.attempted.set()
        if self.failure is not None:
            raise self.failure
        yield _AnsweringSink(self, wake)

    def states(self) -> list[str]:
        """The keys of the messages in the topic."""
        return sorted(message.key.decode() for message in self.broker.messages("jobs"))


class _AnsweringSink(FakeSink):
    def __init__(self, driver: FakeDriver, wake: Event) -> None:
        super().__init__(driver.broker)
        self._driver = driver
        self._wake = wake

    def send(self, sendings: Sequence[Sending]) -> None:
        super().send(sendings)
        if not self._driver.silent:
            self.acknowledge()
            self._wake.set()


def install(monkeypatch: pytest.MonkeyPatch, driver: Any) -> None:
    """Let notifiers use ``driver``."""
    monkeypatch.setattr("bridge.notifier.worker.driver_for_host", lambda settings: driver)
