"""Documents whose ``_id`` belongs to another job than before, and jobs that get their id late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bridge.model.transition import Poison, Transition
from tests.support.array_writes import CURRENT
from tests.support.history_verdict import Items, read_from, read_to_now
from tests.support.job_writer import Document, transition
from tests.support.servers.mongo import MongoDeployment
from tests.support.snapshots import no_snapshots, wait_until_too_old
from tests.support.source_under_test import SourceUnderTest


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    with SourceUnderTest(mongo.uri, database) as jobs:
        yield jobs


def job(key: Any, job_id: str | None, *elements: Document) -> Document:
    history = list(elements) or [transition("created")]
    named = {} if job_id is None else {"id": job_id}
    return {"_id": key, **named, "state": "created", CURRENT: history}


def push(jobs: SourceUnderTest, key: Any, state: str = "running", minute: int = 1) -> str:
    """Append a transition to the document ``key``; returns its identity."""
    element = transition(state, minute)
    updated = jobs.collection.update_one({"_id": key}, {"$push": {CURRENT: element}})
    assert updated.modified_count == 1
    return str(element["trans_id"])


def job_ids(items: Items) -> dict[str, str]:
    """The job id of each message by its identity; dead letters are left out."""
    return {item.trans_id: item.job_id for item in items if isinstance(item, Transition)}


def letters(items: Items) -> list[Poison]:
    return [item for item in items if isinstance(item, Poison)]


@pytest.mark.parametrize("drop", [False, True])
def test_a_collection_in_the_place_of_another(jobs: SourceUnderTest, drop: bool) -> None:
    """It has the same ``_id`` values; the cache knew the jobs of the first collection."""
    other = jobs.database["other"]
    other.insert_many([job(n, f"new-{n}") for n in range(20)])
    with jobs.reading() as reader:
        jobs.collection.insert_many([job(n, f"old-{n}") for n in range(20)])
        old = {push(jobs, n): f"old-{n}" for n in range(20)}
        reader.read_transitions(40)
        if drop:
            jobs.collection.drop()
        else:
            jobs.collection.rename("former")
        reader.read_events(40 + 2)  # and the end of the stream
    other.rename(jobs.collection.name)
    new = {push(jobs, n, "error", 2): f"new-{n}" for n in range(20)}
    items = read_from(jobs, reader.position)

    assert old.items() <= job_ids(reader.items).items()
    assert (job_ids(items), letters(items)) == (new, [])


@pytest.mark.parametrize("replaced", [False, True])
def test_an_id_used_again_while_stopped(jobs: SourceUnderTest, replaced: bool) -> None:
    """The first job's transitions are dead letters or have its id; never that of the second."""
    jobs.collection.insert_one(job("key", "old"))
    start = jobs.end_position()
    old = [push(jobs, "key", minute=minute) for minute in range(5)]
    second = job("key", "new", transition("created", 9))
    if replaced:
        jobs.collection.replace_one({"_id": "key"}, second)
    else:
        jobs.collection.delete_one({"_id": "key"})
        jobs.collection.insert_one(second)
    new = [second[CURRENT][0]["trans_id"], push(jobs, "key", minute=10)]
    with jobs.reading(start) as reader:
        items = read_to_now(jobs, reader)

    delivered = job_ids(items)
    assert [delivered.get(trans_id) for trans_id in new] == ["new", "new"]
    assert {delivered.get(trans_id, "old") for trans_id in old} == {"old"}
    lost = [trans_id for trans_id in old if trans_id not in delivered]
    assert [letter.trans_id for letter in letters(items)] == lost
    assert all(letter.reason and letter.job_id in ("", "old") for letter in letters(items))


def test_an_id_used_again_before_a_restart(jobs: SourceUnderTest) -> None:
    """The next stream starts before that, and MongoDB no longer has the first job's document."""
    jobs.collection.insert_one(job("key", "old"))
    start = jobs.end_position()
    with jobs.reading(start) as reader:
        lost = push(jobs, "key")
        jobs.collection.delete_one({"_id": "key"})
        jobs.collection.insert_one(job("key", "new"))
        assert sorted(job_ids(read_to_now(jobs, reader)).values()) == ["new", "old"]
    with no_snapshots(jobs):
        wait_until_too_old(jobs, start.cluster_time)
        with jobs.reading(start) as reader:
            items = read_to_now(jobs, reader)

    assert list(job_ids(items).values()) == ["new"]
    assert [(letter.trans_id, letter.job_id) for letter in letters(items)] == [(lost, "")]


def test_an_id_used_again_in_a_gap(jobs: SourceUnderTest) -> None:
    """The cache knows the first job, and the stream does not deliver the end of it."""
    with jobs.reading() as reader:
        jobs.collection.insert_one(job("key", "old"))
        reader.read_transitions(1)
    jobs.collection.delete_one({"_id": "key"})
    jobs.collection.insert_one(job("key", "new"))
    start = jobs.end_position()
    both = [transition("running", 1), transition("complete", 2)]
    jobs.collection.update_one({"_id": "key"}, {"$push": {CURRENT: {"$each": both}}})
    with no_snapshots(jobs):
        wait_until_too_old(jobs, jobs.end_position().cluster_time.previous())
        with jobs.reading(start) as reader:
            items = read_to_now(jobs, reader)

    assert job_ids(items) == {element["trans_id"]: "new" for element in both}


@pytest.mark.parametrize("replaced", [False, True])
def test_a_former_job_is_forgotten(jobs: SourceUnderTest, replaced: bool) -> None:
    """The next document with its ``_id`` has no id: only dead letters."""
    nameless = job("key", None)
    with jobs.reading() as reader:
        jobs.collection.insert_one(job("key", "old"))
        reader.read_transitions(1)
        if replaced:
            jobs.collection.replace_one({"_id": "key"}, nameless)
        else:
            jobs.collection.delete_one({"_id": "key"})
            jobs.collection.insert_one(nameless)
        lost = [nameless[CURRENT][0]["trans_id"], push(jobs, "key")]
        items = read_to_now(jobs, reader)

    assert list(job_ids(items).values()) == ["old"]
    assert [letter.trans_id for letter in letters(items)] == lost


@pytest.mark.parametrize("late", [False, True])
def test_a_job_that_gets_its_id_later(jobs: SourceUnderTest, late: bool) -> None:
    """Transitions before that are dead letters or have the id; those after it have it."""
    with jobs.reading() as reader:
        first = job("key", None)
        jobs.collection.insert_one(first)
        before = [first[CURRENT][0]["trans_id"], push(jobs, "key")]
        if not late:
            reader.read_events(2)
        jobs.collection.update_one({"_id": "key"}, {"$set": {"id": "mended"}})
        after = [push(jobs, "key", "error", minute) for minute in (2, 3)]
        items = read_to_now(jobs, reader)

    delivered = job_ids(items)
    assert [delivered.get(trans_id) for trans_id in after] == ["mended", "mended"]
    assert {delivered.get(trans_id, "mended") for trans_id in before} == {"mended"}
    assert [letter.trans_id for letter in letters(items)] == [
        t for t in before if t not in delivered
    ]
    if not late:
        assert len(letters(items)) == 2


def test_an_id_that_is_changed_is_learnt(jobs: SourceUnderTest) -> None:
    with jobs.reading() as reader:
        jobs.collection.insert_one(job("key", "first"))
        reader.read_transitions(1)
        jobs.collection.update_one({"_id": "key"}, {"$set": {"id": "second"}})
        after = push(jobs, "key")
        items = read_to_now(jobs, reader)

    assert job_ids(items)[after] == "second"


@pytest.mark.parametrize("end", ["drop", "rename"])
def test_jobs_that_ended_while_stopped(jobs: SourceUnderTest, end: str) -> None:
    """Then their collection ends; each transition is sent, or dead-lettered so that it is known."""
    keys = [f"key-{n}" for n in range(150)]
    jobs.collection.insert_many([job(key, f"job {key}") for key in keys])
    start = jobs.end_position()
    ended = {push(jobs, key, "complete"): key for key in keys}
    if end == "drop":
        jobs.collection.drop()
    else:
        jobs.collection.rename("former")
    with jobs.reading(start) as reader:
        read_to_now(jobs, reader)

    delivered = job_ids(reader.items)
    assert all(delivered[trans_id] == f"job {ended[trans_id]}" for trans_id in delivered)
    assert delivered.keys() | {letter.trans_id for letter in letters(reader.items)} == ended.keys()
    for letter in letters(reader.items):
        assert letter.state == "complete" and ended[letter.trans_id] in letter.reason
    if end == "rename":
        assert len(delivered) == 150, "the jobs are found under the new name"


def test_another_collection_got_the_name_while_stopped(jobs: SourceUnderTest) -> None:
    """It has the same ``_id`` values; the jobs are found under the new name of the first."""
    other = jobs.database["other"]
    other.insert_many([job(n, f"new-{n}") for n in range(3)])
    jobs.collection.insert_many([job(n, f"old-{n}") for n in range(3)])
    start = jobs.end_position()
    old = {push(jobs, n): f"old-{n}" for n in range(3)}
    jobs.collection.rename("former")
    other.rename(jobs.collection.name)

    items = read_from(jobs, start)

    assert (job_ids(items), letters(items)) == (old, [])


@pytest.mark.parametrize("state", ["a", "b"])
def test_without_history_an_id_used_again(
    mongo: MongoDeployment, database: str, state: str
) -> None:
    """The first job's document is read as it was."""
    fields = {"jobs__profile": "custom", "jobs__id_field": "id", "jobs__state_field": "state"}
    fields |= {"jobs__updated_field": "updated", "jobs__transitions_field": ""}
    first, second, third = (transition("any", minute)["time"] for minute in range(3))
    with SourceUnderTest(mongo.uri, database, **fields) as jobs:
        jobs.collection.insert_one({"_id": 1, "id": "old", "state": "a", "updated": first})
        start = jobs.end_position()
        jobs.collection.update_one({"_id": 1}, {"$set": {"state": "b", "updated": second}})
        jobs.collection.delete_one({"_id": 1})
        jobs.collection.insert_one({"_id": 1, "id": "new", "state": state, "updated": third})
        with jobs.reading(start) as reader:
            items = read_to_now(jobs, reader)[:2]

    assert [(item.job_id, item.state) for item in items] == [("old", "b"), ("new", state)]
