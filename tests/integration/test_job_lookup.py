"""Documents as they were at the time of an event, read from a real MongoDB."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.model.position import ClusterTime
from bridge.model.transition import Poison
from bridge.mongo.job_documents import JobDocuments
from bridge.mongo.job_lookup import Image, JobLookup
from tests.support.servers.mongo import MongoDeployment
from tests.support.snapshots import no_snapshots, wait_until_too_old
from tests.support.source_under_test import SourceUnderTest


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    with SourceUnderTest(mongo.uri, database) as jobs:
        yield jobs


def lookup_in(jobs: SourceUnderTest) -> JobLookup:
    return JobLookup(jobs.collection, JobDocuments(jobs.profile).fields)


def states(image: Image | None) -> list[str]:
    assert image is not None and image.document is not None
    return [element["state"] for element in image.document["transition_times"]]


def events_of(jobs: SourceUnderTest) -> tuple[object, list[ClusterTime]]:
    """Insert, change and delete a job; return its ``_id`` and the events' cluster times."""
    with jobs.reading() as reader:
        job_id = jobs.insert()
        document = jobs.collection.find_one({"id": job_id})
        assert document is not None
        jobs.advance(job_id, "error")
        jobs.collection.delete_one({"id": job_id})
        events = reader.read_events(3)
    return document["_id"], [event.position.cluster_time for event in events]


def test_a_document_is_read_around_its_events(jobs: SourceUnderTest) -> None:
    key, (inserted, changed, deleted) = events_of(jobs)
    lookup = lookup_in(jobs)

    assert lookup.at(key, inserted.previous()) == Image(None)
    assert states(lookup.at(key, inserted)) == ["created"]
    assert states(lookup.at(key, changed.previous())) == ["created"]
    assert states(lookup.at(key, changed)) == ["created", "error"]
    assert states(lookup.at(key, deleted.previous())) == ["created", "error"]
    assert lookup.at(key, deleted) == Image(None)


def test_a_snapshot_contains_only_the_projection(jobs: SourceUnderTest) -> None:
    key, (inserted, *_) = events_of(jobs)
    image = lookup_in(jobs).at(key, inserted)

    assert image is not None and image.document is not None
    assert image.document.keys() <= {"_id", *JobDocuments(jobs.profile).fields}


def test_a_time_too_old_is_not_known(jobs: SourceUnderTest) -> None:
    key, (inserted, *_) = events_of(jobs)
    lookup = lookup_in(jobs)

    with no_snapshots(jobs):
        wait_until_too_old(jobs, inserted)
        assert lookup.at(key, inserted) is None


def test_a_forgotten_moment_is_a_dead_letter(jobs: SourceUnderTest) -> None:
    """An element stood between two writes only, and no document contains its time any more."""
    start = jobs.end_position()
    job_id = jobs.insert()
    for state in ("x", "y"):
        jobs.collection.update_one(
            {"id": job_id},
            {"$set": {"transition_times.0.state": state, "transition_times.0.trans_id": state}},
        )

    with no_snapshots(jobs):
        first = jobs.collection.find_one({"id": job_id})
        assert first is not None
        wait_until_too_old(jobs, jobs.end_position().cluster_time.previous())
        with jobs.reading(start) as reader:
            created, forgotten, current = reader.read_events(3)[:3]

    assert [item.state for item in created.items] == ["created"]
    assert [item.reason for item in forgotten.items if isinstance(item, Poison)] == [
        "the transition stood for a moment only: its time can no longer be read; "
        f"document _id {first['_id']}"
    ]
    assert [(item.state, item.trans_id) for item in current.items] == [("y", "y")]


def test_an_entry_edited_long_ago_is_sent(jobs: SourceUnderTest) -> None:
    """Its identity was delivered by the same stream, but not its new state."""
    start = jobs.end_position()
    job_id = jobs.add()
    (first,) = jobs.collection.find_one({"id": job_id})["transition_times"]  # type: ignore[index]
    jobs.update(job_id, {"$set": {"transition_times.0": {**first, "state": "edited"}}})
    archive = [{**first, "state": "edited again"}]
    jobs.update(job_id, {"$set": {"trans_history": archive, "transition_times": []}})
    with no_snapshots(jobs):
        wait_until_too_old(jobs, jobs.end_position().cluster_time.previous())
        with jobs.reading(start) as reader:
            items = reader.read_transitions(3)

    assert [item.state for item in items] == ["created", "edited", "edited again"]
