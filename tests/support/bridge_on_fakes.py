"""A ``Bridge`` whose MongoDB, Kafka, checkpoint store and clocks are in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest

from bridge.app import bridge as module
from bridge.app.bridge import Bridge
from bridge.app.lifecycle import Lifecycle, State
from bridge.app.outcome import Outcome
from bridge.app.retry import Retry
from bridge.errors import BridgeError
from bridge.kafka.drivers import KafkaDriver
from bridge.model.cluster_identity import ClusterIdentity
from bridge.model.gap import Gap
from bridge.model.position import ClusterTime, Position
from bridge.model.profile import PROFILES
from bridge.pipeline.pulse import Keeper, Pulse
from bridge.settings import Settings
from tests.support.factories import FULL_BACKOFF, checkpoint, settings
from tests.support.fake_kafka import FakeTailReader
from tests.support.fake_tags import FakeTags
from tests.support.fakes import (
    FakeBroker,
    FakeClock,
    FakeSink,
    FakeStore,
    FakeStream,
    FakeWake,
    Log,
    SharedCheckpoint,
)


class ClosableClient:
    """A MongoDB client of which only the end is of interest."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeDeployment:
    streams: bool
    cluster_time: ClusterTime


class FakeHistory:
    """The history of a collection: the same jobs for each gap."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []
        self.cursors: list[str] = []

    def count_in_gap(self, gap: Gap, cursor: str) -> int | None:
        return len(self.jobs)

    def transitions_in_gap(self, gap: Gap, cursor: str) -> Iterator[Any]:
        self.cursors.append(cursor)
        return iter(self.jobs)

    def why_older_than(self, delivered: object) -> str:
        return ""


class FakeSource:
    """See :class:`bridge.mongo.source.MongoSource`; ``open`` raises ``failures`` in order."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.profile = PROFILES["cts"]
        self.history = FakeHistory()
        self.cluster = object()
        self.streams = True
        self.fingerprint = "fingerprint"
        self.failures: list[BridgeError] = []
        #: Raised by checks of the right to remove tags, in order.
        self.tag_failures: list[BridgeError] = []
        self.before_open: Callable[[], None] = lambda: None
        #: The position of each ``open``, and whether it was by time.
        self.opened: list[tuple[Position, bool]] = []
        self.open_streams = 0
        self.closed = False
        self.replaced = 0
        #: Raised by the replacements of the clients, in order.
        self.bad_files: list[BridgeError] = []

    def identity(self, *, streams: bool = True) -> ClusterIdentity:
        return ClusterIdentity(
            "db.jobs", "rs0/6500000000000000", self.fingerprint, self.log.position.cluster_time
        )

    def deployment(self, *, streams: bool = True) -> FakeDeployment:
        return FakeDeployment(self.streams, self.log.position.cluster_time)

    def collection_exists(self) -> bool:
        return True

    @contextmanager
    def open(self, start: Position, wake: threading.Event, *, by_time: bool) -> Iterator[Any]:
        self.before_open()
        self.opened.append((start, by_time))
        if self.failures:
            raise self.failures.pop(0)
        self.open_streams += 1
        try:
            yield FakeStream(self.log, start)
        finally:
            self.open_streams -= 1

    def tags(self) -> FakeTags:
        return FakeTags()

    def tagger(self) -> FakeTags:
        return FakeTags()

    def check_tag_rights(self) -> None:
        if self.tag_failures:
            raise self.tag_failures.pop(0)

    def missing_sweep_indexes(self) -> Sequence[str]:
        return ()

    def replace_clients(self) -> None:
        if self.bad_files:
            raise self.bad_files.pop(0)
        self.replaced += 1

    def close(self) -> None:
        self.closed = True


class FakeProducer(FakeSink):
    """A sink of a driver, with the client's latest warning."""

    warning = ""

    def refused(self) -> bool:
        return False

    def complaint(self) -> str:
        return self.warning


class FakeKafka:
    """A Kafka driver; ``failures`` are raised when a producer is opened, in order."""

    def __init__(self) -> None:
        self.broker = FakeBroker("jobs", "jobs-dlq")
        self.failures: list[BridgeError] = []
        self.producers: list[FakeProducer] = []
        self.open_producers = 0
        self.before_open: Callable[[], None] = lambda: None
        unused = cast(Any, None)
        tails = cast(Any, self._tail_reader)
        self.driver = KafkaDriver(
            "fake", "1", cast(Any, self._sink), unused, tails, unused, unused, unused
        )

    @contextmanager
    def _sink(
        self, _settings: Settings, _dead_letters: str | None, _wake: threading.Event
    ) -> Iterator[FakeProducer]:
        self.before_open()
        if self.failures:
            raise self.failures.pop(0)
        self.producers.append(FakeProducer(self.broker))
        self.open_producers += 1
        try:
            yield self.producers[-1]
        finally:
            self.open_producers -= 1

    @contextmanager
    def _tail_reader(self, _settings: Settings) -> Iterator[FakeTailReader]:
        yield FakeTailReader(self.broker)

    @property
    def producer(self) -> FakeProducer:
        return self.producers[-1]


class RecordingLifecycle(Lifecycle):
    """Records the moves."""

    def __init__(self) -> None:
        super().__init__()
        self.moves: list[tuple[State, str]] = []

    def enter(self, state: State, reason: str = "") -> bool:
        changed = super().enter(state, reason)
        self.moves.append((state, reason))
        return changed


class BridgeOnFakes:
    """One bridge and its world; each wait of its loop is a step.

    The waits of the main thread turn the fake clock and take no time. ``steps`` happen one after
    the other, one at each wait for answers; the bridge is stopped after the last one. ``until_now``
    among the options is the bridge's own, the others are settings.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        until_now = options.pop("until_now", False)
        self.clock = FakeClock()
        self.log = Log()
        self.kafka = FakeKafka()
        self.source = FakeSource(self.log)
        self.shelf = SharedCheckpoint(self.clock)
        self.store = FakeStore(self.shelf)
        self.client = ClosableClient()
        self.steps: list[Callable[[], object]] = []
        replacements = {
            "Pulse": self._make_pulse,
            "Lifecycle": RecordingLifecycle,
            "make_driver": lambda *_: self.kafka.driver,
            "make_source": lambda *_: self.source,
            "make_store": lambda *_: self.store,
            "state_client": lambda _: self.client,
            "Retry": lambda clock: Retry(clock, FULL_BACKOFF),
        }
        for name, replacement in replacements.items():
            monkeypatch.setattr(module, name, replacement)
        self.settings = settings(kafka__topic="jobs", mongo__database="db", **options)
        self.bridge = Bridge(self.settings, self.clock, until_now=until_now)

    def _make_pulse(self, clock: FakeClock, keeper: Keeper) -> Pulse:
        self.wake = FakeWake(clock)
        self.stop = FakeWake(clock)
        self.wake.meanwhile = self._step
        return Pulse(clock, keeper, wake=self.wake, stop=self.stop)

    def _step(self) -> None:
        # Fake time must not pass faster than the calls in the background.
        for thread in threading.enumerate():
            if thread.name == "background":
                thread.join(10)
        if self.steps:
            self.steps.pop(0)()
        else:
            self.bridge.request_stop()

    def store_checkpoint(self, number: int = 0) -> None:
        """Store a checkpoint of an earlier process."""
        before = FakeStore(self.shelf)
        assert before.acquire() == ""
        before.save(checkpoint(number))
        before.release()
        self.shelf.saves.clear()

    def run(self, *steps: Callable[[], object]) -> Outcome:
        self.steps = list(steps)
        return self.bridge.run()

    def acknowledge(self) -> None:
        """Let Kafka acknowledge everything that was sent."""
        self.kafka.producer.acknowledge()

    @property
    def moves(self) -> list[State]:
        """The states in their order, without changes of the reason only."""
        lifecycle = self.bridge.lifecycle
        assert isinstance(lifecycle, RecordingLifecycle)
        states = [State.STARTING, *(state for state, _ in lifecycle.moves)]
        return [
            after for before, after in zip([None, *states], states, strict=False) if after != before
        ]

    @property
    def reasons(self) -> list[str]:
        lifecycle = self.bridge.lifecycle
        assert isinstance(lifecycle, RecordingLifecycle)
        return [reason for _, reason in lifecycle.moves if reason]

    def trans_ids(self) -> list[str]:
        """Return the transitions in the topic, by partition."""
        return [
            message.value.decode().partition('"trans_id": "')[2].strip('"}')
            for message in self.kafka.broker.messages("jobs")
        ]
