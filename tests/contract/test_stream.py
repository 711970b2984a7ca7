"""The contract of a stream, for the fake and for MongoDB's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Protocol

import pytest

from bridge.errors import Retryable
from bridge.model.position import Position
from bridge.model.transition import Batch, Event, Transition
from bridge.pipeline.ports import Stream
from tests.support.fakes import FakeStream, Log
from tests.support.killed_cursors import kill
from tests.support.source_under_test import SourceUnderTest

#: Generous: only a stream that hangs reaches it.
READ_SECONDS = 60.0


class WatchedCollection(Protocol):
    """A collection to write to."""

    wake: threading.Event

    def here(self) -> Position: ...

    def open(self, start: Position) -> AbstractContextManager[Stream]: ...

    def write(self, count: int = 1) -> list[str]:
        """Events of one transition each; returns their identities in order."""

    def noise(self) -> None:
        """A write that is not for us."""

    def fail(self) -> None:
        """Make the open stream fail."""


class InMemoryCollection:
    def __init__(self) -> None:
        self.log, self.wake = Log(), threading.Event()

    def here(self) -> Position:
        return self.log.position

    def open(self, start: Position) -> AbstractContextManager[Stream]:
        return nullcontext(FakeStream(self.log, start))

    def write(self, count: int = 1) -> list[str]:
        return [trans_id(self.log.append()) for _ in range(count)]

    def noise(self) -> None:
        self.log.pass_by()

    def fail(self) -> None:
        self.log.end()


class MongoCollection:
    def __init__(self, jobs: SourceUnderTest) -> None:
        self.jobs, self.wake = jobs, threading.Event()

    def here(self) -> Position:
        return self.jobs.end_position()

    def open(self, start: Position) -> AbstractContextManager[Stream]:
        return self.jobs.source.open(start, self.wake, by_time=False)

    def write(self, count: int = 1) -> list[str]:
        return [identity.trans_id for identity in self.jobs.insert_many(count)]

    def noise(self) -> None:
        self.jobs.database["others"].insert_one({})

    def fail(self) -> None:
        kill(self.jobs)


@pytest.fixture(params=["memory", "mongo"])
def watched(request: pytest.FixtureRequest, database: str) -> Iterator[WatchedCollection]:
    if request.param == "memory":
        yield InMemoryCollection()
        return
    with SourceUnderTest(request.getfixturevalue("mongo").uri, database) as jobs:
        yield MongoCollection(jobs)


def trans_id(event: Event) -> str:
    (item,) = event.items
    assert isinstance(item, Transition)
    return item.trans_id


def read(watched: WatchedCollection, stream: Stream, count: int) -> list[Batch]:
    """Read batches until they contain ``count`` events."""
    batches: list[Batch] = []
    deadline = time.monotonic() + READ_SECONDS
    while sum(len(batch.events) for batch in batches) < count:
        assert time.monotonic() < deadline
        batches += step(watched, stream)
    return batches


def step(watched: WatchedCollection, stream: Stream) -> list[Batch]:
    """The next batch in a list, which is empty if there is none within a moment."""
    watched.wake.clear()
    batch = stream.read()
    if batch is None:
        watched.wake.wait(0.2)
    return [] if batch is None else [batch]


def events_of(batches: list[Batch]) -> list[Event]:
    return [event for batch in batches for event in batch.events]


def test_events_come_in_the_order_of_their_commits(watched: WatchedCollection) -> None:
    start = watched.here()
    with watched.open(start) as stream:
        written = watched.write(7)

        events = events_of(read(watched, stream, 7))

    assert [trans_id(event) for event in events] == written
    assert start < events[0].position
    assert [event.position for event in events] == sorted({event.position for event in events})


def test_the_position_after_each_batch_covers_its_events(watched: WatchedCollection) -> None:
    with watched.open(watched.here()) as stream:
        watched.write(5)
        watched.noise()
        watched.write(2)
        batches = read(watched, stream, 7)

    positions = [batch.position for batch in batches]
    assert positions == sorted(positions)
    assert all(event.position <= batch.position for batch in batches for event in batch.events)
    for before, after in pairwise(batches):
        assert all(event.position > before.position for event in after.events)


def test_a_foreign_write_moves_the_position(watched: WatchedCollection) -> None:
    start = watched.here()
    with watched.open(start) as stream:
        watched.noise()
        position, deadline = start, time.monotonic() + READ_SECONDS
        while position <= start:
            assert time.monotonic() < deadline
            for batch in step(watched, stream):
                assert list(batch.events) == []
                position = batch.position


def test_resuming_after_any_event_gives_exactly_the_rest(watched: WatchedCollection) -> None:
    start = watched.here()
    written = watched.write(5)
    with watched.open(start) as stream:
        events = events_of(read(watched, stream, 5))

    for number, event in enumerate(events[:-1], start=1):
        with watched.open(event.position) as stream:
            assert [
                trans_id(rest) for rest in events_of(read(watched, stream, 5 - number))
            ] == written[number:]


def test_resuming_after_a_batch_gives_the_rest(watched: WatchedCollection) -> None:
    with watched.open(watched.here()) as stream:
        watched.write(3)
        watched.noise()
        after = read(watched, stream, 3)[-1].position

    later = watched.write(2)

    with watched.open(after) as stream:
        assert [trans_id(event) for event in events_of(read(watched, stream, 2))] == later


def test_earlier_writes_are_read_first(watched: WatchedCollection) -> None:
    start = watched.here()
    written = watched.write(3)

    with watched.open(start) as stream:
        assert [trans_id(event) for event in events_of(read(watched, stream, 3))] == written


def test_reading_never_waits(watched: WatchedCollection) -> None:
    with watched.open(watched.here()) as stream:
        before = time.monotonic()
        for _ in range(2000):
            stream.read()

        assert time.monotonic() - before < 10


def test_a_failure_comes_after_the_last_event(watched: WatchedCollection) -> None:
    with watched.open(watched.here()) as stream:
        written = watched.write(3)
        batches = read(watched, stream, 3)
        watched.fail()

        with pytest.raises(Retryable):
            for _ in range(1000):
                batches += step(watched, stream)

    assert [trans_id(event) for event in events_of(batches) if event.items] == written
