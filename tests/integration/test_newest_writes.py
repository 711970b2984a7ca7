"""The simulated job service writing as the newest CTS, against a real MongoDB."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from pymongo import MongoClient

from tests.support.servers.mongo import MongoDeployment
from tests.support.service_run import Outcome, committed, elements, history, run
from tests.support.simulator import Workload
from tests.support.witness import Witness

#: Most jobs are recovered, some several times.
RECOVERING = Workload(
    jobs=20, rate=None, seed=4, error_share=0.8, recover_share=0.9, writes="pipeline"
)
QUIET = Workload(
    jobs=20, rate=None, seed=4, error_share=0.8, recover_share=0.9, writes="pipeline", noise=False
)
Client = MongoClient[dict[str, Any]]
#: The state that a recovered job starts again with.
RECOVERED = "download_submitted"
FIRST_KEYS = ["state", "time", "trans_id", "notif_sent", "_retry"]
LATER_KEYS = ["state", "time", "_retry", "trans_id", "notif_sent"]


@pytest.fixture
def client(mongo: MongoDeployment) -> Iterator[Client]:
    with Client(mongo.uri, tz_aware=True) as client:
        yield client


def test_recovered_jobs_look_like_the_services_own(
    mongo: MongoDeployment, database: str, client: Client
) -> None:
    outcomes: list[Outcome] = []
    run(mongo, database, RECOVERING, outcomes.append)

    jobs = list(client[database]["jobs"].find())
    recovered = [job for job in jobs if "trans_history" in job]
    assert committed(outcomes) == sorted(line for job in jobs for line in history(job))
    assert len(recovered) > 8
    for job in recovered:
        times = [element["time"] for element in elements(job)]
        assert times == sorted(times) and job["_update_time"] == times[-1]
        assert job["state"] == job["transition_times"][-1]["state"]
        assert job["trans_history"][-1]["state"] == "recovering"
        assert job["transition_times"][0]["state"] == RECOVERED
        assert ("admin_error" in job) == (job["state"] == "error") == ("traceback" in job)
        assert "_last_recover" in job


def test_some_jobs_are_recovered_several_times(
    mongo: MongoDeployment, database: str, client: Client
) -> None:
    run(mongo, database, RECOVERING, lambda _: None)

    archives = [job.get("trans_history", ()) for job in client[database]["jobs"].find()]
    states = [[element["state"] for element in archive] for archive in archives]
    assert max(archive.count(RECOVERED) for archive in states) >= 2
    assert any(
        pair == ("recovering", "recovering") for archive in states for pair in pairwise(archive)
    )


def test_the_keys_of_elements_have_the_services_order(
    mongo: MongoDeployment, database: str, client: Client
) -> None:
    run(mongo, database, QUIET, lambda _: None)

    for job in client[database]["jobs"].find():
        states = ["", *(element["state"] for element in elements(job))]
        for before, element in zip(states, elements(job), strict=False):
            starts = not before or (before, element["state"]) == ("recovering", RECOVERED)
            assert list(element) == (FIRST_KEYS if starts else LATER_KEYS)


def test_only_recoveries_are_not_noted_as_sent(
    mongo: MongoDeployment, database: str, client: Client
) -> None:
    """The service sends nothing for the first transition of a recovered job."""
    run(mongo, database, RECOVERING, lambda _: None)

    for job in client[database]["jobs"].find():
        unsent = [element for element in elements(job) if not element["notif_sent"]]
        recoveries = [element for element in elements(job) if list(element) == FIRST_KEYS][1:]
        assert unsent == recoveries


def test_refused_updates_leave_no_event(
    mongo: MongoDeployment, database: str, client: Client
) -> None:
    """Without noise there is one event for each transition, and no other."""
    outcomes: list[Outcome] = []
    with client[database]["jobs"].watch(max_await_time_ms=500) as stream:
        run(mongo, database, QUIET, outcomes.append)
        events = list(iter(stream.try_next, None))

    assert len(events) == len(outcomes) > 200
    updates = [event["updateDescription"] for event in events if "updateDescription" in event]
    assert any(update["truncatedArrays"] for update in updates)
    assert any("state" not in update["updatedFields"] for update in updates)


def test_the_witness_counts_archived_transitions(
    mongo: MongoDeployment, database: str, client: Client
) -> None:
    outcomes: list[Outcome] = []
    with Witness(mongo.uri, database, "no checkpoint") as witness:
        run(mongo, database, RECOVERING, outcomes.append)
        witness.catch_up()

    assert len(witness.transitions) == len(outcomes)
    for job in client[database]["jobs"].find():
        known = [(element["trans_id"], element["notif_sent"]) for element in elements(job)]
        assert known == [
            (element["trans_id"], element["notif_sent"]) for element in witness.history(job["id"])
        ]
    for job_id in {outcome.job_id for outcome in outcomes}:
        assert [
            (transition.trans_id, transition.state)
            for transition in witness.transitions
            if transition.job_id == job_id
        ] == [(line[3], line[2]) for line in committed(outcomes) if line[0] == job_id]


def test_both_generations_share_a_collection(
    mongo: MongoDeployment, database: str, client: Client
) -> None:
    outcomes: list[Outcome] = []
    workload = Workload(jobs=20, rate=None, seed=4, error_share=1, recover_share=1, writes="both")
    run(mongo, database, workload, outcomes.append)

    jobs = list(client[database]["jobs"].find())
    recovered = sum("trans_history" in job for job in jobs)
    assert 4 < recovered < 16
    assert committed(outcomes) == sorted(line for job in jobs for line in history(job))


def test_pipeline_jobs_have_a_collection_of_their_own(
    mongo: MongoDeployment, database: str, client: Client
) -> None:
    workload = Workload(jobs=3, rate=None, writes="pipeline", kind="pipeline_jobs")
    run(mongo, database, workload, lambda _: None)

    assert client[database].list_collection_names() == ["pipeline_jobs"]
    jobs = client[database]["pipeline_jobs"]
    assert jobs.index_information().keys() == {"_id_", "id_1"}
    assert jobs.count_documents({"id": {"$regex": "^pipeline-"}}) == 3
