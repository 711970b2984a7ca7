"""Histories that public reports of similar software describe, each with its right messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from bridge.model.transition import Transition
from tests.support.array_writes import ARCHIVE, CURRENT, array_of, recover_job, set_stage
from tests.support.history_verdict import Items, read_to_now
from tests.support.job_writer import MIDNIGHT, Document, transition
from tests.support.servers.mongo import MongoDeployment
from tests.support.source_under_test import SourceUnderTest


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    with SourceUnderTest(mongo.uri, database) as jobs:
        yield jobs


Sent = tuple[str, str, str, str]


def entry(job_id: str, element: Document) -> Sent:
    return (job_id, element["trans_id"], element["state"], element["time"].isoformat())


def sent(items: Items) -> list[Sent]:
    assert all(isinstance(item, Transition) for item in items), items
    return [(item.job_id, item.trans_id, item.state, item.time) for item in items]


def with_id(trans_id: str, state: str, minute: int) -> Document:
    return transition(state, minute, trans_id=trans_id)


def capped(element: Document) -> list[Document]:
    """Appends an element and keeps the last three."""
    longer = {"$concatArrays": [f"${CURRENT}", [element]]}
    return set_stage(CURRENT, {"$slice": [longer, -3]}, state=element["state"])


@pytest.mark.parametrize("late", [False, True])
def test_each_entry_of_a_capped_history_is_sent(jobs: SourceUnderTest, late: bool) -> None:
    """A service keeps the last three entries over 35 transitions."""
    elements = [with_id(f"t-{n}", ("running", "error", "queued")[n * n % 3], n) for n in range(36)]
    with jobs.reading() as reader:
        job_id = jobs.add(first=elements[0])
        for element in elements[1:]:
            jobs.collection.update_one({"id": job_id}, capped(element))
            if not late:
                read_to_now(jobs, reader)
        items = read_to_now(jobs, reader)

    assert sent(items) == [entry(job_id, element) for element in elements]


@pytest.mark.parametrize(
    "shift",
    [
        {"$pop": {CURRENT: -1}},
        set_stage(CURRENT, {"$slice": [f"${CURRENT}", -1]}),
        {"$set": {CURRENT: [with_id("i2", "running", 2)]}},
        {"$push": {CURRENT: {"$each": [], "$slice": -1}}},
        [*set_stage(CURRENT, {"$slice": [f"${CURRENT}", -1]}), {"$set": {"state": "error"}}],
    ],
)
def test_a_shifted_history_sends_nothing(jobs: SourceUnderTest, shift: Any) -> None:
    """The states are equal, so the event contains the time and the identity only."""
    first, second = with_id("i1", "running", 1), with_id("i2", "running", 2)
    with jobs.reading() as reader:
        job_id = jobs.add(transition_times=[first, second])
        jobs.collection.update_one({"id": job_id}, shift)
        items = read_to_now(jobs, reader)

    assert sent(items) == [entry(job_id, first), entry(job_id, second)]


def test_a_reversed_history_sends_nothing(jobs: SourceUnderTest) -> None:
    elements = [with_id(f"t-{n}", f"s{n % 2}", n) for n in range(5)]
    with jobs.reading() as reader:
        job_id = jobs.add(transition_times=elements)
        jobs.collection.update_one(
            {"id": job_id}, set_stage(CURRENT, {"$reverseArray": f"${CURRENT}"})
        )
        items = read_to_now(jobs, reader)

    assert sent(items) == [entry(job_id, element) for element in elements]


IDENTIFIED = {"$mergeObjects": ["$$e", {"trans_id": {"$concat": ["$id", "/new"]}}]}
MIGRATIONS: dict[str, Callable[[str], tuple[Any, Any]]] = {
    "index": lambda new: ({"$set": {f"{CURRENT}.0.trans_id": new}}, None),
    "all": lambda new: ({"$set": {f"{CURRENT}.$[].trans_id": new}}, None),
    "filtered": lambda new: (
        {"$set": {f"{CURRENT}.$[e].trans_id": new}},
        [{"e.trans_id": {"$exists": False}}],
    ),
    "pipeline": lambda _: (
        set_stage(CURRENT, {"$map": {"input": f"${CURRENT}", "as": "e", "in": IDENTIFIED}}),
        None,
    ),
}


@pytest.mark.parametrize("migration", MIGRATIONS)
def test_added_identities_are_no_transitions(jobs: SourceUnderTest, migration: str) -> None:
    """A migration adds an identity to each of 360 entries; the next job is sent."""
    jobs.collection.insert_many(
        {"id": f"old-{n}", "state": "running", CURRENT: [transition("running", n, trans_id=None)]}
        for n in range(360)
    )
    with jobs.reading() as reader:
        for n in range(360):
            update, filters = MIGRATIONS[migration](f"new-{n}")
            jobs.collection.update_one({"id": f"old-{n}"}, update, array_filters=filters)
        element = with_id("next", "created", 0)
        job_id = jobs.add(first=element)
        items = read_to_now(jobs, reader)

    assert sent(items) == [entry(job_id, element)]


@pytest.mark.parametrize("cold", [False, True])
def test_a_recovered_job_sends_its_new_entry(jobs: SourceUnderTest, cold: bool) -> None:
    """The service moves the history into the archive, twice; appends follow each time."""
    elements = [with_id(f"t-{n}", state, n) for n, state in enumerate(("created", "error") * 3)]
    elements[2]["state"] = elements[4]["state"] = "download_submitted"
    start = jobs.end_position()
    job_id = jobs.add(first=elements[0])
    jobs.collection.update_one({"id": job_id}, {"$push": {CURRENT: elements[1]}})
    for again, failed in (elements[2:4], elements[4:6]):
        assert jobs.collection.update_one({"id": job_id}, recover_job(again)).modified_count == 1
        jobs.collection.update_one({"id": job_id}, {"$push": {CURRENT: failed}})
    if cold:
        start = jobs.end_position()
        more = [with_id("t-6", "download_submitted", 6), with_id("t-7", "complete", 7)]
        jobs.collection.update_one({"id": job_id}, recover_job(more[0]))
        jobs.collection.update_one({"id": job_id}, {"$push": {CURRENT: more[1]}})
        elements = more
    with jobs.reading(start) as reader:
        items = read_to_now(jobs, reader)

    assert sent(items) == [entry(job_id, element) for element in elements]


def test_a_forced_recovery_is_sent(jobs: SourceUnderTest) -> None:
    """The job's state does not change; only an entry is added."""
    elements = [with_id(f"t-{n}", "recovering", n) for n in range(3)]
    with jobs.reading() as reader:
        job_id = jobs.add(first=elements[0])
        for element in elements[1:]:
            longer = {"$concatArrays": [array_of(CURRENT), [element]]}
            change = set_stage(CURRENT, longer, state="recovering", _last_recover=element["time"])
            jobs.collection.update_one({"id": job_id}, change)
        items = read_to_now(jobs, reader)

    assert sent(items) == [entry(job_id, element) for element in elements]


def test_moving_the_history_alone_sends_nothing(jobs: SourceUnderTest) -> None:
    elements = [with_id(f"t-{n}", "running", n) for n in range(3)]
    with jobs.reading() as reader:
        job_id = jobs.add(transition_times=elements)
        moved = {"$concatArrays": [array_of(ARCHIVE), array_of(CURRENT)]}
        jobs.collection.update_one({"id": job_id}, set_stage(ARCHIVE, moved, **{CURRENT: []}))
        items = read_to_now(jobs, reader)

    assert sent(items) == [entry(job_id, element) for element in elements]


@pytest.mark.parametrize("name", ["state", "time"])
def test_an_edited_entry_is_sent_as_edited(jobs: SourceUnderTest, name: str) -> None:
    element = with_id("t-0", "running", 0)
    edited = element | {"state": "error"}
    if name == "time":
        edited = element | {"time": MIDNIGHT + timedelta(hours=1)}
    with jobs.reading() as reader:
        job_id = jobs.add(first=element, state="other")
        jobs.update(job_id, {"$set": {f"{CURRENT}.0.{name}": edited[name]}})
        items = read_to_now(jobs, reader)

    assert sent(items) == [entry(job_id, element), entry(job_id, edited)]
