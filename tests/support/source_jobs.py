"""A jobs collection in a real MongoDB: writes as the job service makes them, and what the bridge reads of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, NamedTuple

from pymongo import MongoClient

from bridge.demo.job_service.workload import (
    Step,
    change,
    guard,
    input_files,
    new_id,
    new_job,
    to_millis,
)
from bridge.errors import BridgeError
from bridge.model.position import Position, position_before
from bridge.model.profile import profile_of
from bridge.model.transition import Batch, Event, Poison, Transition
from bridge.mongo.change_stream import ChangeStream
from bridge.mongo.client import state_client
from bridge.mongo.source import MongoSource
from bridge.settings import Settings
from tests.support.factories import settings

PATIENCE_SECONDS = 20.0

Document = dict[str, Any]


class Seen(NamedTuple):
    """What identifies a transition."""

    job_id: str
    state: str
    trans_id: str
    sequence: int | None


def seen(item: Transition | Poison) -> Seen:
    assert isinstance(item, Transition), item
    return Seen(item.job_id, item.state, item.trans_id, item.sequence)


class Reader:
    """Reads an open stream and keeps everything it gave."""

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
    def seen(self) -> list[Seen]:
        return [seen(item) for item in self.items]

    @property
    def position(self) -> Position:
        return self.batches[-1].position

    def step(self) -> bool:
        """Read once; false when there was nothing. Raises what ended the stream."""
        self._wake.clear()
        batch = self.stream.read()
        if batch is not None:
            self.batches.append(batch)
        return batch is not None

    def take(self, count: int) -> list[Seen]:
        """Read until there are so many transitions, all told."""
        self._read(lambda: len(self.items) >= count, f"{count} transitions")
        return self.seen

    def pass_event(self, count: int) -> list[Event]:
        """Read until there are so many events, all told."""
        self._read(lambda: len(self.events) >= count, f"{count} events")
        return self.events

    def pass_position(self, position: Position) -> None:
        """Read until the position is later than this one."""
        self._read(lambda: bool(self.batches) and self.position > position, "a later position")

    def end(self) -> BridgeError:
        """Read until the stream ends; return what it said."""
        try:
            self._read(lambda: False, "the end of the stream")
        except BridgeError as error:
            return error
        raise AssertionError("unreachable")

    def _read(self, done: Any, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert time.monotonic() < deadline, f"{what} did not come; there are {self.items}"
            if not self.step():
                self._wake.wait(0.2)


class Jobs:
    """One collection, the bridge's source on it, and writers; a context manager."""

    def __init__(self, uri: str, database: str, **options: Any) -> None:
        self.config: Settings = settings(mongo__uri=uri, mongo__database=database, **options)
        self.profile = profile_of(self.config)
        self.client = MongoClient[Document](uri, tz_aware=True)
        self.database = self.client[database]
        self.documents = self.database[self.profile.collection]
        self._state = state_client(self.config)
        self._sources: list[MongoSource] = []
        self.source = self.another_source()
        if self.documents.name not in self.database.list_collection_names():
            self.database.create_collection(self.documents.name)

    def __enter__(self) -> Jobs:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sources:
            each.close()
        self._state.close()
        self.client.close()

    def another_source(self) -> MongoSource:
        """A source as a newly started bridge has it: it remembers no job ids."""
        self._sources.append(MongoSource(self.config, self.profile, self._state))
        return self._sources[-1]

    def here(self) -> Position:
        """The position after everything written so far, as a first start takes it."""
        newest = self.source.identity().cluster_time
        return position_before(newest.next())

    @contextmanager
    def reading(self, start: Position | None = None, *, by_time: bool = False) -> Iterator[Reader]:
        wake = threading.Event()
        with self.source.open(start or self.here(), wake, by_time=by_time) as stream:
            yield Reader(stream, wake)

    def insert(self, cluster: str = "kbase", **changed: Any) -> str:
        """A new job in its first state, as the service inserts it; returns its id."""
        document = new_job(cluster, now(), input_files(2000)) | changed
        self.documents.insert_one(document)
        return str(document["id"])

    def advance(
        self, job_id: str, state: str, moment: datetime | None = None, **fields: Any
    ) -> str:
        """The next transition, as the service writes it; returns its identity."""
        before = self.documents.find_one({"id": job_id})
        assert before is not None
        trans_id, time_ = new_id(), moment or now()
        updated = self.documents.update_one(
            guard(job_id, before["state"], time_), change(Step(state, {}, fields), time_, trans_id)
        )
        assert updated.modified_count == 1
        return trans_id

    def history(self, job_id: str) -> list[Seen]:
        """What the job's own history says, as the bridge should have seen it."""
        document = self.documents.find_one({"id": job_id})
        assert document is not None
        return [
            Seen(job_id, one["state"], one["trans_id"], n)
            for n, one in enumerate(document["transition_times"])
        ]

    def many(self, count: int) -> list[Seen]:
        """So many new jobs; returns their transitions in the order of their commits."""
        return [one for _ in range(count) for one in self.history(self.insert())]


def now() -> datetime:
    return to_millis(datetime.now(timezone.utc))
