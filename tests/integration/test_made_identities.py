"""The identities that the bridge makes for transitions without an identity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from bridge.model.transition import Poison, Transition
from bridge.mongo.decoder import OPTIONS
from bridge.mongo.job_documents import JobDocuments
from tests.support.array_writes import CURRENT, recover_job
from tests.support.history_verdict import read_to_now
from tests.support.job_writer import MIDNIGHT, Document, transition
from tests.support.servers.mongo import MongoDeployment
from tests.support.source_under_test import SourceUnderTest

STATES = ("created", "running", "error")
#: State-only profiles: with a time of the last update, without any, and with the job id in _id.
STATE_ONLY: dict[str, dict[str, Any]] = {
    "ee2": {"jobs__profile": "ee2"},
    "updated": {
        "jobs__profile": "custom",
        "jobs__id_field": "id",
        "jobs__state_field": "status",
        "jobs__updated_field": "updated",
    },
    "no time": {
        "jobs__profile": "custom",
        "jobs__id_field": "id",
        "jobs__state_field": "status",
    },
}


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    with SourceUnderTest(mongo.uri, database) as jobs:
        yield jobs


@pytest.fixture(params=STATE_ONLY)
def latest(
    request: pytest.FixtureRequest, mongo: MongoDeployment, database: str
) -> Iterator[SourceUnderTest]:
    with SourceUnderTest(mongo.uri, database, **STATE_ONLY[request.param]) as jobs:
        yield jobs


def without_id(start: int) -> list[Document]:
    return [transition(state, start + n, trans_id=None) for n, state in enumerate(STATES)]


def job(history: list[Document]) -> Document:
    return {"_id": "job", "id": "job", "state": "error", CURRENT: history}


def transitions(items: Sequence[Transition | Poison]) -> list[Transition]:
    assert all(isinstance(item, Transition) for item in items), items
    return [item for item in items if isinstance(item, Transition)]


def in_document(jobs: SourceUnderTest) -> Sequence[Transition | Poison]:
    """The history of the job as a recovery reads it."""
    document = jobs.collection.with_options(OPTIONS).find_one({"_id": "job"})
    assert document is not None
    return JobDocuments(jobs.profile).history(document).items


@pytest.mark.parametrize("at_once", [False, True])
def test_a_history_started_again_has_new_identities(jobs: SourceUnderTest, at_once: bool) -> None:
    """The same states at the same indexes; a consumer that drops repeats keeps all six."""
    again = without_id(10)
    with jobs.reading() as reader:
        jobs.collection.insert_one(job(without_id(0)))
        first = again if at_once else again[:1]
        jobs.collection.update_one({"id": "job"}, {"$set": {CURRENT: first}})
        for element in again[len(first) :]:
            jobs.collection.update_one({"id": "job"}, {"$push": {CURRENT: element}})
        items = transitions(read_to_now(jobs, reader))

    assert [item.state for item in items] == [*STATES, *STATES]
    assert len({item.trans_id for item in items}) == 6
    assert items[3:] == list(in_document(jobs))


def test_a_recovered_job_keeps_its_made_identities(jobs: SourceUnderTest) -> None:
    """Archive and current array together give the identities that the stream sent."""
    again = without_id(10)
    with jobs.reading() as reader:
        jobs.collection.insert_one(job(without_id(0)))
        jobs.collection.update_one({"id": "job"}, recover_job(again[0]))
        for element in again[1:]:
            jobs.collection.update_one({"id": "job"}, {"$push": {CURRENT: element}})
        items = transitions(read_to_now(jobs, reader))

    assert len({item.trans_id for item in items}) == 6
    assert items == list(in_document(jobs))


def test_an_identity_contains_the_own_time(jobs: SourceUnderTest) -> None:
    """A clock was far ahead once, so the sequences after it do not contain the entries' times."""
    ahead = transition("created", 10**6, trans_id=None)
    first, second = (transition("running", minute, trans_id=None) for minute in (1, 2))
    with jobs.reading() as reader:
        jobs.collection.insert_one(job([ahead, first]))
        jobs.collection.update_one({"id": "job"}, {"$pop": {CURRENT: 1}})
        jobs.collection.update_one({"id": "job"}, {"$push": {CURRENT: second}})
        items = transitions(read_to_now(jobs, reader))

    assert [item.time for item in items] == [e["time"].isoformat() for e in (ahead, first, second)]
    assert len({item.trans_id for item in items}) == 3


def last_accepted(items: Sequence[Transition]) -> Transition:
    """The last message that a consumer accepts that drops every repeated identity."""
    first_arrivals: dict[str, Transition] = {}
    for item in items:
        first_arrivals.setdefault(item.trans_id, item)
    return list(first_arrivals.values())[-1]


@pytest.mark.parametrize("dated", ["never", "together", "each"])
@pytest.mark.parametrize("states", ["ABA", "BA", "ABAB"])
def test_a_consumer_ends_at_the_true_state(
    latest: SourceUnderTest, states: str, dated: str
) -> None:
    """All in a single transaction, so at the same cluster time; the job was in A before."""
    with latest.reading() as reader:
        key = {"_id": "job", "id": "job"}
        latest.collection.insert_one({**key, "status": "A", "updated": MIDNIGHT})
        with latest.client.start_session() as session, session.start_transaction():
            for minute, state in enumerate(states, 1):
                times = {"together": 1, "each": minute}
                change: Document = {"status": state}
                if dated in times:
                    change["updated"] = MIDNIGHT + timedelta(minutes=times[dated])
                latest.collection.update_one({"_id": "job"}, {"$set": change}, session=session)
        end = latest.end_position()
        latest.collection.insert_one({"_id": "end", "id": "end", "status": "A"})
        reader.read_past(end)

    items = [item for item in transitions(reader.items) if item.job_id == "job"]
    assert last_accepted(items).state == states[-1]
    if dated != "never" and latest.profile.updated_field:
        (recovered,) = in_document(latest)
        assert last_accepted(items).trans_id == recovered.trans_id
