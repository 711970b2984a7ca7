"""An event on which the server's expressions fail is dead-lettered, and the stream continues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bridge.errors import BridgeError
from bridge.model.position import Position
from bridge.model.profile import Profile
from bridge.model.transition import Poison, Transition
from bridge.mongo.stages import shaping_stages
from bridge.mongo.unreadable_event import TRIES
from tests.support.job_writer import transition
from tests.support.raw_documents import raw_update
from tests.support.servers.mongo import MongoDeployment
from tests.support.source_under_test import Identity, SourceUnderTest, StreamReader, identity

#: This expression fails (code 241) on an event whose field ``number`` is a text.
NUMBER = {"$ifNull": ["$updateDescription.updatedFields.number", "$fullDocument.number"]}
FAILING = {"$set": {"_number": {"$toInt": NUMBER}}}
NOT_A_NUMBER = {"number": "text"}


def failing_stages(profile: Profile) -> list[dict[str, Any]]:
    return [FAILING, *shaping_stages(profile)]


@pytest.fixture
def jobs(
    mongo: MongoDeployment, database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SourceUnderTest]:
    monkeypatch.setattr("bridge.mongo.source.shaping_stages", failing_stages)
    with SourceUnderTest(mongo.uri, database) as jobs:
        yield jobs


class Sessions:
    """Reads session after session from the position that was reached, as the bridge does."""

    def __init__(self, jobs: SourceUnderTest, start: Position) -> None:
        self._jobs = jobs
        self._position = start
        self.items: list[Transition | Poison] = []
        self.errors: list[BridgeError] = []

    def read(self, count: int) -> list[Identity]:
        """Read until there are ``count`` items; return the identities of the transitions."""
        while len(self.items) < count:
            assert len(self.errors) < 20, self.errors
            try:
                with self._jobs.reading(self._position) as reader:
                    self._read(reader, count)
            except BridgeError as error:
                self.errors.append(error)
        return [identity(item) for item in self.items if isinstance(item, Transition)]

    @property
    def reasons(self) -> list[str]:
        return [item.reason for item in self.items if isinstance(item, Poison)]

    def _read(self, reader: StreamReader, count: int) -> None:
        seen = 0
        try:
            while len(self.items) < count:
                reader.read_events(seen + 1)
                self.items += [item for event in reader.events[seen:] for item in event.items]
                seen = len(reader.events)
        finally:
            if reader.batches:
                self._position = reader.position


def test_a_failing_event_is_passed_with_dead_letter(jobs: SourceUnderTest) -> None:
    sessions = Sessions(jobs, jobs.end_position())
    before = jobs.insert_many(3)
    odd = jobs.insert(**NOT_A_NUMBER)
    after = jobs.insert_many(3)

    assert sessions.read(7) == before + after

    (key,) = [job["_id"] for job in jobs.collection.find({"id": odd})]
    (reason,) = sessions.reasons
    assert f"document _id {key}" in reason
    assert "MongoDB cannot evaluate it" in reason and "Failed to parse number" in reason
    assert len(sessions.errors) == TRIES


def test_many_failing_events_are_passed_in_order(jobs: SourceUnderTest) -> None:
    sessions = Sessions(jobs, jobs.end_position())
    good = []
    for _ in range(5):
        jobs.insert(**NOT_A_NUMBER)
        jobs.insert(**NOT_A_NUMBER)
        good += jobs.insert_many(2)

    assert sessions.read(20) == good
    assert len(sessions.reasons) == 10
    assert len(sessions.errors) == TRIES


def test_an_update_behind_flags_is_found(jobs: SourceUnderTest) -> None:
    """The stages filter the flags, so the failing event is not the first after the position."""
    job_id = jobs.insert()
    sessions = Sessions(jobs, jobs.end_position())
    for number in range(50):
        jobs.update(job_id, {"$set": {"transition_times.0.notif_sent": number % 2 == 0}})
    jobs.update(job_id, {"$set": NOT_A_NUMBER})
    other = jobs.insert_many(1)

    assert sessions.read(2) == other
    assert len(sessions.reasons) == 1


def test_a_running_stream_passes_a_failing_event(jobs: SourceUnderTest) -> None:
    sessions = Sessions(jobs, jobs.end_position())
    before = jobs.insert_many(1)
    assert sessions.read(1) == before
    jobs.insert(**NOT_A_NUMBER)
    after = jobs.insert_many(1)

    assert sessions.read(3) == before + after
    assert len(sessions.reasons) == 1


def test_a_restart_after_a_failing_event_resumes(jobs: SourceUnderTest) -> None:
    """The server applies the stages also to the event of the resume token."""
    sessions = Sessions(jobs, jobs.end_position())
    jobs.insert(**NOT_A_NUMBER)
    sessions.read(1)
    after = jobs.insert_many(2)
    jobs.source = jobs.another_source()

    assert sessions.read(3) == after
    assert len(sessions.reasons) == 1


def test_changes_of_a_transaction_after_it_follow(jobs: SourceUnderTest) -> None:
    """They have the same cluster time as the failing event."""
    good, odd = jobs.insert(), jobs.insert()
    sessions = Sessions(jobs, jobs.end_position())
    with jobs.client.start_session() as session, session.start_transaction():
        for job_id, change in (
            (good, {"$set": {"transition_times.0.state": "first"}}),
            (odd, {"$set": NOT_A_NUMBER}),
            (good, {"$set": {"transition_times.0.state": "second"}}),
        ):
            jobs.collection.update_one({"id": job_id}, change, session=session)

    found = sessions.read(3)

    assert [each.state for each in found] == ["first", "second"]
    assert len(sessions.reasons) == 1


def test_a_failure_without_event_names_the_position(
    jobs: SourceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the stages fail whatever they see, no event is blamed."""
    monkeypatch.setattr("bridge.mongo.unreadable_event.EventSearch._fails", lambda *_, **__: True)
    sessions = Sessions(jobs, jobs.end_position())
    jobs.insert(**NOT_A_NUMBER)

    with pytest.raises(AssertionError):
        sessions.read(1)

    assert sessions.items == []
    assert sessions.errors[-1].what.startswith("MongoDB failed after 20")


@pytest.mark.parametrize(
    "name", [b"\xff\xfe", b"\x80state", b"state\xe2\x82", b"9" * 5000, b"state\xff"]
)
def test_odd_names_below_a_transition_stop_nothing(
    mongo: MongoDeployment, database: str, name: bytes
) -> None:
    with SourceUnderTest(mongo.uri, database) as jobs:
        sessions = Sessions(jobs, jobs.end_position())
        job_id = jobs.insert()
        change = raw_update(b"$set", [(b"transition_times.0." + name, 1)])
        jobs.collection.update_one({"id": job_id}, change)
        jobs.update(job_id, {"$push": {"transition_times": transition("complete")}})

        found = sessions.read(2)
        if sessions.reasons:
            found = sessions.read(3)

        assert [(each.job_id, each.state) for each in found] == [
            (job_id, "created"),
            (job_id, "complete"),
        ]


@pytest.mark.parametrize("key", ["9" * 5000, "9" * 20, "word", "-1", "\u0663"])
def test_a_history_with_other_keys_is_passed(
    mongo: MongoDeployment, database: str, key: str
) -> None:
    with SourceUnderTest(mongo.uri, database) as jobs:
        job_id = jobs.insert(transition_times={})
        sessions = Sessions(jobs, jobs.end_position())
        jobs.update(job_id, {"$set": {f"transition_times.{key}": transition("created")}})
        after = jobs.insert_many(1)

        assert sessions.read(2) == after
        (document,) = [job["_id"] for job in jobs.collection.find({"id": job_id})]

    (reason,) = sessions.reasons
    assert f"document _id {document}; its history is not an array" in reason
    assert sessions.errors == []
