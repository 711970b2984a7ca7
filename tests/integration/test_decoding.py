"""The change stream of a real MongoDB: every write of the job service, and odd ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from bridge.demo.job_service.workload import afterthoughts, new_id, sent
from bridge.model.transition import Transition
from tests.support.job_writer import now
from tests.support.servers.mongo import MongoDeployment
from tests.support.simulator import Commit, Workload, play
from tests.support.source_under_test import Identity, SourceUnderTest


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    with SourceUnderTest(mongo.uri, database) as jobs:
        yield jobs


def test_exactly_the_services_commits_are_read_in_order(
    jobs: SourceUnderTest, mongo: MongoDeployment
) -> None:
    commits: list[tuple[str, int, str, str]] = []

    def note(outcome: Any) -> None:
        assert isinstance(outcome, Commit)
        commits.append((outcome.job_id, outcome.sequence, outcome.state, outcome.trans_id))

    async def whole() -> None:
        workload = Workload(jobs=25, rate=None, seed=5)
        await play(mongo.uri, jobs.database.name, workload, stop=asyncio.Event(), on_commit=note)

    with jobs.reading() as reader:
        asyncio.run(asyncio.wait_for(whole(), 60))
        end = jobs.end_position()
        jobs.insert()
        reader.read_past(end)
        identities = reader.identities[:-1]

    assert sorted((item.job_id, item.state, item.trans_id) for item in identities) == sorted(
        (job_id, state, trans_id) for job_id, _, state, trans_id in commits
    )
    for job_id in {identity.job_id for identity in identities}:
        assert [item.trans_id for item in identities if item.job_id == job_id] == [
            trans_id for job, _, _, trans_id in sorted(commits) if job == job_id
        ]
        assert [identity for identity in identities if identity.job_id == job_id] == jobs.history(
            job_id
        )
    assert len(reader.events) == len(identities) + 1, "noise did not come as far as the bridge"


def test_each_transition_has_the_services_time(jobs: SourceUnderTest) -> None:
    with jobs.reading() as reader:
        job_id = jobs.insert()
        jobs.advance(job_id, "download_submitted", now() + timedelta(seconds=1))
        reader.read_transitions(2)

    document = jobs.collection.find_one({"id": job_id})
    assert document is not None
    assert [item.time for item in reader.items if isinstance(item, Transition)] == [
        element["time"].isoformat() for element in document["transition_times"]
    ]
    assert all(event.committed is not None for event in reader.events)


def test_transitions_within_one_millisecond_are_all_read(jobs: SourceUnderTest) -> None:
    moment = now()
    with jobs.reading() as reader:
        job_id = jobs.insert(_update_time=moment)
        for state in ("download_submitted", "job_submitting", "job_submitted"):
            jobs.advance(job_id, state, moment)
        identities = reader.read_transitions(4)

    assert identities == jobs.history(job_id)


def test_a_state_entered_twice_is_read_twice(jobs: SourceUnderTest) -> None:
    with jobs.reading() as reader:
        job_id = jobs.insert()
        jobs.advance(job_id, "created")
        identities = reader.read_transitions(2)

    assert identities == jobs.history(job_id)
    assert [identity.state for identity in identities] == ["created", "created"]


def test_another_array_does_not_hide_a_transition(jobs: SourceUnderTest) -> None:
    with jobs.reading() as reader:
        job_id = jobs.insert("perlmutter-jaws")
        jobs.advance(
            job_id, "complete", outputs=[{"file": f"f{n}"} for n in range(2000)], traceback=None
        )
        identities = reader.read_transitions(2)

    assert identities == jobs.history(job_id)


def noise(jobs: SourceUnderTest, job_id: str) -> None:
    first = jobs.history(job_id)[0]
    jobs.collection.update_one(*sent(job_id, first.trans_id))
    for update in afterthoughts("perlmutter-jaws", now()):
        assert jobs.collection.update_one({"id": job_id}, update).matched_count == 1
    for update in (
        {
            "$set": {
                "admin_meta.transition_times": [{"state": "error", "time": now(), "trans_id": "no"}]
            }
        },
        {"$set": {"transition_times_old.0": {"state": "error", "time": now()}}},
        {"$set": {"outputs.transition_times.0": {"state": "error"}}},
        {"$set": {"transition_times.0.notes": {"state": "error", "time": now()}}},
        {"$set": {"transition_times.0._retry": 1}},
        {"$set": {"state": "error"}},
        {"$unset": {"error": "", "admin_meta": ""}},
    ):
        jobs.collection.update_one({"id": job_id}, update)


def test_noise_is_no_transition_however_it_looks(jobs: SourceUnderTest) -> None:
    with jobs.reading() as reader:
        job_id = jobs.insert()
        noise(jobs, job_id)
        jobs.database["subjobs"].insert_one(
            {"id": job_id, "state": "error", "transition_times": [{"state": "error"}]}
        )
        last = jobs.insert()
        identities = reader.read_transitions(2)

    assert identities == [jobs.history(job_id)[0], *jobs.history(last)]
    assert [event.skipped for event in reader.events] == ["", ""], "noise reached the bridge"


def test_two_elements_are_two_transitions_of_one_event(jobs: SourceUnderTest) -> None:
    first, second = (
        [
            {"state": state, "time": now(), "trans_id": new_id()}
            for state in ("canceling", "canceled")
        ]
        for _ in range(2)
    )
    with jobs.reading() as reader:
        job_id = jobs.insert()
        jobs.collection.update_one(
            {"id": job_id},
            {"$push": {"transition_times": {"$each": first}}, "$set": {"state": "canceled"}},
        )
        jobs.collection.update_one(
            {"id": job_id},
            [{"$set": {"transition_times": {"$concatArrays": ["$transition_times", second]}}}],
        )
        identities = reader.read_transitions(5)

    assert identities == jobs.history(job_id)
    assert [len(event.items) for event in reader.events] == [1, 2, 2]


def test_more_than_ten_transitions_stay_in_order(jobs: SourceUnderTest) -> None:
    many = [{"state": f"s{n}", "time": now(), "trans_id": f"t{n}"} for n in range(13)]
    with jobs.reading() as reader:
        job_id = jobs.insert()
        jobs.collection.update_one({"id": job_id}, {"$push": {"transition_times": {"$each": many}}})
        identities = reader.read_transitions(14)

    assert identities == jobs.history(job_id)


def test_a_history_set_whole_gives_its_new_elements(jobs: SourceUnderTest) -> None:
    changed = [{"state": state, "time": now(), "trans_id": state} for state in ("created", "error")]
    with jobs.reading() as reader:
        job_id = jobs.insert()
        jobs.collection.update_one(
            {"id": job_id}, {"$set": {"transition_times": changed, "state": "error"}}
        )
        identities = reader.read_transitions(3)

    assert identities[1:] == jobs.history(job_id)


def test_a_replaced_document_sends_its_new_element(jobs: SourceUnderTest) -> None:
    with jobs.reading() as reader:
        job_id = jobs.insert()
        document = jobs.collection.find_one({"id": job_id}, {"_id": 0})
        assert document is not None
        document["transition_times"].append({"state": "error", "time": now(), "trans_id": "t-2"})
        jobs.collection.replace_one({"id": job_id}, document)
        identities = reader.read_transitions(2)

    assert identities == jobs.history(job_id)


def test_a_flag_set_with_its_element_gives_nothing(jobs: SourceUnderTest) -> None:
    """The event contains the whole element, as that of a new one does."""
    with jobs.reading() as reader:
        job_id = jobs.insert()
        jobs.advance(job_id, "download_submitted")
        document = jobs.collection.find_one({"id": job_id})
        assert document is not None
        flagged = {"notif_sent": True, **document["transition_times"][0]}
        jobs.collection.update_one({"id": job_id}, {"$set": {"transition_times.0": flagged}})
        jobs.advance(job_id, "job_submitting")
        identities = reader.read_transitions(3)

    assert identities == jobs.history(job_id)
    assert [event.skipped for event in reader.events] == ["", "", "no_transition", ""]


def test_an_insert_with_two_transitions_is_one_event(jobs: SourceUnderTest) -> None:
    two = [
        {"state": state, "time": now(), "trans_id": state, "notif_sent": True}
        for state in ("created", "complete")
    ]
    with jobs.reading() as reader:
        job_id = jobs.insert(transition_times=two)
        identities = reader.read_transitions(2)

    assert identities == jobs.history(job_id)
    assert [len(event.items) for event in reader.events] == [2]


@pytest.mark.parametrize("seed", range(3))
def test_random_writes_are_read_exactly_from_any_place(jobs: SourceUnderTest, seed: int) -> None:
    random, expected, ids = Random(seed), list[Identity](), list[str]()
    start = jobs.end_position()
    for _ in range(60):
        chosen = random.choice(ids) if ids and random.random() < 0.8 else ""
        if not chosen:
            ids.append(jobs.insert())
            expected += jobs.history(ids[-1])
        elif random.random() < 0.5:
            noise(jobs, chosen)
            jobs.collection.update_one(
                {"id": chosen}, {"$set": {"state": jobs.history(chosen)[-1].state}}
            )
        else:
            jobs.advance(chosen, random.choice(("job_submitting", "complete", "error")))
            expected.append(jobs.history(chosen)[-1])

    with jobs.reading(start) as reader:
        reader.read_transitions(len(expected))
    middle = reader.events[len(reader.events) // 2].position
    jobs.source = jobs.another_source()
    with jobs.reading(middle) as rest:
        expected_rest = [
            item for event in reader.events if event.position > middle for item in event.items
        ]
        rest.read_transitions(len(expected_rest))

    assert reader.identities == expected
    assert rest.items == expected_rest
