"""The bridge's source on a collection in a real MongoDB, with a writer of jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from pymongo import MongoClient

from bridge.errors import BridgeError
from bridge.model.position import Position, position_before
from bridge.model.profile import profile_of
from bridge.model.transition import (
    BEFORE_FIRST,
    Batch,
    Event,
    Poison,
    Transition,
    next_sequence,
)
from bridge.mongo.change_stream import ChangeStream
from bridge.mongo.client import state_client
from bridge.mongo.source import MongoSource
from bridge.settings import Settings
from tests.support.factories import settings
from tests.support.job_writer import Document, JobWriter

#: Generous: only a stream that hangs reaches it.
READ_SECONDS = 60.0


class Identity(NamedTuple):
    """The fields that identify a transition."""

    job_id: str
    state: str
    trans_id: str
    sequence: int | None


def identity(item: Transition | Poison) -> Identity:
    assert isinstance(item, Transition), item
    return Identity(item.job_id, item.state, item.trans_id, item.sequence)


def sequences_of(times: Iterable[datetime]) -> list[int]:
    """The sequences of a history with these times."""
    numbers, previous = [], BEFORE_FIRST
    for moment in times:
        previous = next_sequence(previous, round(moment.timestamp() * 1000))
        numbers.append(previous)
    return numbers


class StreamReader:
    """Reads an open stream and keeps everything it delivered."""

    def __init__(self, stream: ChangeStream, wake: threading.Event) -> None:
        self.stream = stream
        self._wake = wake
        self.batches: list[Batch] = []

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch.events]

    @property
    def items(self) -> list[Transition | Poison]:
        return [item for event in self.events for item in event.items]

    @property
    def identities(self) -> list[Identity]:
        return [identity(item) for item in self.items]

    @property
    def position(self) -> Position:
        return self.batches[-1].position

    def step(self) -> bool:
        """Read once; False if the stream delivered nothing. Raises the stream's error."""
        self._wake.clear()
        batch = self.stream.read()
        if batch is not None:
            self.batches.append(batch)
        return batch is not None

    def read_transitions(self, count: int) -> list[Identity]:
        """Read until there are ``count`` transitions in all; returns all of them."""
        self._read(lambda: len(self.items) >= count, f"{count} transitions")
        return self.identities

    def read_events(self, count: int) -> list[Event]:
        """Read until there are ``count`` events in all; returns all of them."""
        self._read(lambda: len(self.events) >= count, f"{count} events")
        return self.events

    def read_past(self, position: Position) -> None:
        """Read until the stream's position is later than ``position``."""
        self._read(lambda: bool(self.batches) and self.position > position, "a later position")

    def read_to_end(self) -> BridgeError:
        """Read until the stream ends; returns its error."""
        try:
            self._read(lambda: False, "the end of the stream")
        except BridgeError as error:
            return error
        raise AssertionError("unreachable")

    def _read(self, done: Callable[[], bool], description: str) -> None:
        deadline = time.monotonic() + READ_SECONDS
        while not done():
            assert time.monotonic() < deadline, f"no {description}; there are {self.items}"
            if not self.step():
                self._wake.wait(0.2)


class SourceUnderTest(JobWriter):
    """One collection, the bridge's source on it, and a writer; a context manager."""

    def __init__(self, uri: str, database: str, **options: Any) -> None:
        self.config: Settings = settings(mongo__uri=uri, mongo__database=database, **options)
        self.profile = profile_of(self.config)
        self.client = MongoClient[Document](uri, tz_aware=True)
        self.database = self.client[database]
        super().__init__(self.database[self.profile.collection])
        self._state = state_client(self.config)
        self._sources: list[MongoSource] = []
        self.source = self.another_source()
        if self.collection.name not in self.database.list_collection_names():
            self.database.create_collection(self.collection.name)

    def __enter__(self) -> SourceUnderTest:
        return self

    def __exit__(self, *_: object) -> None:
        for source in self._sources:
            source.close()
        self._state.close()
        self.client.close()

    def another_source(self) -> MongoSource:
        """A source as a newly started bridge has it, with an empty cache of job ids."""
        self._sources.append(MongoSource(self.config, self.profile, self._state))
        return self._sources[-1]

    def end_position(self) -> Position:
        """The position after everything written so far, as a first start uses it."""
        newest = self.source.identity().cluster_time
        return position_before(newest.next())

    @contextmanager
    def reading(
        self, start: Position | None = None, *, by_time: bool = False
    ) -> Iterator[StreamReader]:
        wake = threading.Event()
        with self.source.open(start or self.end_position(), wake, by_time=by_time) as stream:
            yield StreamReader(stream, wake)

    def history(self, job_id: str) -> list[Identity]:
        """The transitions in the job's own history, as the bridge should read them."""
        document = self.collection.find_one({"id": job_id})
        assert document is not None
        elements = [
            element for field in self.profile.history_fields for element in document.get(field, ())
        ]
        numbers = sequences_of(element["time"] for element in elements)
        return [
            Identity(job_id, element["state"], element["trans_id"], number)
            for element, number in zip(elements, numbers, strict=True)
        ]

    def insert_many(self, count: int) -> list[Identity]:
        """Insert ``count`` jobs; returns their transitions in the order of their commits."""
        return [identity for _ in range(count) for identity in self.history(self.insert())]
