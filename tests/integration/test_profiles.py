"""Other collections, and the ids of jobs."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Code, Decimal128, Int64, ObjectId
from pymongo import MongoClient

from bridge.errors import Misconfigured
from bridge.model.transition import Transition, made_trans_id
from bridge.mongo.change_stream_cursor import BATCH_SIZE
from bridge.mongo.job_lookup import JobLookup
from bridge.mongo.known_jobs import cache_key
from tests.support.job_writer import now
from tests.support.sent_commands import SentCommands
from tests.support.servers.mongo import MongoDeployment
from tests.support.source_under_test import SourceUnderTest, sequences_of


def engine_job(**fields: Any) -> dict[str, Any]:
    return {
        "user": "someuser",
        "wsid": 12345,
        "status": "created",
        "updated": 1741111111.123,
        "batch_job": False,
        "job_input": {"method": "m", "params": [{}]},
        "child_jobs": [],
        "retry_ids": [],
        **fields,
    }


def test_the_execution_engine_tells_each_new_status(mongo: MongoDeployment, database: str) -> None:
    with (
        SourceUnderTest(mongo.uri, database, jobs__profile="ee2") as jobs,
        jobs.reading() as reader,
    ):
        key = jobs.collection.insert_one(engine_job()).inserted_id
        for update in (
            {"$set": {"status": "queued", "queued": 1741111112.5, "updated": 1741111112.5}},
            {"$set": {"scheduler_id": "1", "scheduler_type": "condor", "updated": 1741111113.0}},
            {"$set": {"updated": 1741111114.0}},
            {"$addToSet": {"child_jobs": "x"}},
            {"$set": {"condor_job_ads": {"status": "running"}, "job_output.status": "x"}},
            {"$set": {"status": "running"}},
            {"$set": {"status": "completed", "updated": 1741111120.0009}},
        ):
            jobs.collection.update_one({"_id": key}, update)
        batch = jobs.collection.insert_many(
            [engine_job(), engine_job(status="estimating")]
        ).inserted_ids
        reader.read_transitions(6)

    items = [item for item in reader.items if isinstance(item, Transition)]
    assert [(item.job_id, item.state) for item in items] == [
        (str(key), "created"),
        (str(key), "queued"),
        (str(key), "running"),
        (str(key), "completed"),
        (str(batch[0]), "created"),
        (str(batch[1]), "estimating"),
    ]
    assert items[0].time == "2025-03-04T17:58:31.123000+00:00"
    assert items[3].time == "2025-03-04T17:58:40+00:00"
    assert items[2].time == "2025-03-04T17:58:34+00:00", "its update left the time as it was"
    for item in items:
        assert item.sequence is None
        assert item.trans_id == made_trans_id(item.job_id, item.time, item.state)
    with SourceUnderTest(mongo.uri, database, jobs__profile="ee2") as jobs:
        of_history = {item for job in jobs.source.history.jobs() for item in job.items}
    assert set(items[3:]) == of_history, "the latest of each job is the same however it is found"


def test_a_status_has_the_same_identity_on_replay(mongo: MongoDeployment, database: str) -> None:
    with SourceUnderTest(mongo.uri, database, jobs__profile="ee2") as jobs:
        start = jobs.end_position()
        jobs.collection.insert_many([engine_job() for _ in range(3)])
        replays = []
        for _ in range(2):
            with jobs.reading(start) as reader:
                replays.append(reader.read_transitions(3))

    assert replays[0] == replays[1]
    assert len({item.trans_id for item in replays[0]}) == 3


def test_a_profile_with_other_names_works_alike(mongo: MongoDeployment, database: str) -> None:
    names = {
        "jobs__profile": "custom",
        "jobs__id_field": "key",
        "jobs__state_field": "status",
        "jobs__transitions_field": "log",
        "jobs__transition_state": "to",
        "jobs__transition_time": "when",
        "jobs__transition_trans_id": "uid",
    }
    with SourceUnderTest(mongo.uri, database, **names) as jobs, jobs.reading() as reader:
        jobs.collection.insert_one(
            {"key": "k", "status": "a", "log": [{"to": "a", "when": now(), "uid": "u0"}]}
        )
        jobs.collection.update_one(
            {"key": "k"}, {"$push": {"log": {"to": "b", "when": now(), "uid": "u1"}}}
        )
        jobs.collection.update_one(
            {"key": "k"}, {"$set": {"log.0.sent": True, "transition_times.0": {"state": "x"}}}
        )
        jobs.collection.update_one({"key": "k"}, {"$set": {"log.0.to": "c", "log.0.uid": "u2"}})
        reader.read_transitions(3)
        document = jobs.collection.find_one({"key": "k"})
        assert document is not None
        numbers = sequences_of(element["when"] for element in document["log"])

    assert [
        (identity.job_id, identity.state, identity.trans_id, identity.sequence)
        for identity in reader.identities
    ] == [
        ("k", "a", "u0", numbers[0]),
        ("k", "b", "u1", numbers[1]),
        ("k", "c", "u2", numbers[0]),
    ]


def test_made_identities_are_the_same_on_every_replay(
    mongo: MongoDeployment, database: str
) -> None:
    with SourceUnderTest(mongo.uri, database) as jobs:
        start = jobs.end_position()
        job_id = jobs.insert(transition_times=[{"state": "created", "time": now()}])
        jobs.collection.update_one(
            {"id": job_id}, {"$push": {"transition_times": {"state": "error", "time": now()}}}
        )
        replays = []
        for _ in range(2):
            with jobs.reading(start) as reader:
                replays.append(reader.read_transitions(2))

    assert replays[0] == replays[1]
    assert [item.trans_id for item in replays[0]] == [
        made_trans_id(job_id, item.time, state, item.sequence)
        for item, state in zip(reader.items, ("created", "error"), strict=True)
    ]


def test_ids_of_old_jobs_need_one_query(mongo: MongoDeployment, database: str) -> None:
    with SourceUnderTest(mongo.uri, database) as jobs:
        old = [jobs.insert() for _ in range(40)]
        start = jobs.end_position()
        for job_id in old:
            jobs.advance(job_id, "download_submitted")
        jobs.source = jobs.another_source()

        with jobs.reading(start) as reader:
            identities = reader.read_transitions(40)
            assert [identity.job_id for identity in identities] == old
            assert jobs.source.lookup.lookups == 1

            jobs.advance(old[0], "job_submitting")
            jobs.insert()
            reader.read_transitions(42)
            assert jobs.source.lookup.lookups == 1, "what is known is not asked for again"


def test_a_lookup_uses_the_index(mongo: MongoDeployment, database: str) -> None:
    with SourceUnderTest(mongo.uri, database) as jobs:
        job_id = jobs.insert()
        document = jobs.collection.find_one({"id": job_id})
        assert document is not None
        missing = ObjectId()
        found = JobLookup(jobs.collection, {"id": 1}).current([missing, document["_id"]])

        assert found == {cache_key(document["_id"]): {"_id": document["_id"], "id": job_id}}
        plan = jobs.collection.find({"_id": {"$in": [document["_id"]]}}, {"id": 1}).explain()
        assert "IXSCAN" in str(plan["queryPlanner"]["winningPlan"])


def test_the_ids_of_a_batch_need_one_query(mongo: MongoDeployment, database: str) -> None:
    sent = SentCommands()
    with MongoClient[dict[str, Any]](mongo.uri, event_listeners=[sent]) as client:
        documents = client[database].jobs
        keys = documents.insert_many(
            [{"id": f"job-{number}"} for number in range(BATCH_SIZE)]
        ).inserted_ids
        sent.commands.clear()

        found = JobLookup(documents, {"id": 1}).current(keys)
        assert [found[cache_key(key)]["id"] for key in keys] == [
            f"job-{number}" for number in range(BATCH_SIZE)
        ]

        assert [next(iter(command)) for command in sent.commands] == ["find"]


def test_a_job_is_found_by_any_id_type(mongo: MongoDeployment, database: str) -> None:
    key = ObjectId()
    keys = [
        key,
        key.binary,
        str(key),
        True,
        1,
        Int64(2),
        0.5,
        float("nan"),
        None,
        now(),
        Decimal128("1.5"),
        Code("f()"),
        {"site": 1, "job": Int64(2)},
        "",
    ]
    with SourceUnderTest(mongo.uri, database) as jobs:
        job_ids = [jobs.insert(_id=key) for key in keys]
        start = jobs.end_position()
        for state in ("download_submitted", "job_submitting"):
            for job_id in job_ids:
                jobs.advance(job_id, state)
        jobs.source = jobs.another_source()

        with jobs.reading(start) as reader:
            assert [
                identity.job_id for identity in reader.read_transitions(2 * len(job_ids))
            ] == job_ids * 2
        assert jobs.source.lookup.lookups == 1


def test_a_standalone_is_refused_with_advice(
    tmp_path_factory: pytest.TempPathFactory, database: str
) -> None:
    with (
        MongoDeployment(tmp_path_factory.mktemp("standalone"), replica_set=None) as server,
        SourceUnderTest(server.uri, database) as jobs,
        pytest.raises(Misconfigured, match="standalone"),
    ):
        jobs.source.identity()


def test_the_deployment_tells_what_it_is(mongo: MongoDeployment, database: str) -> None:
    with SourceUnderTest(mongo.uri, database) as jobs:
        deployment = jobs.source.cluster.deployment()
        jobs.insert()
        after = jobs.source.cluster.last_write()
        oldest = jobs.source.cluster.oldest_oplog_entry()

    assert deployment.kind == "replica set"
    assert (
        deployment.cluster_id.startswith("rs0/") and len(deployment.cluster_id) == len("rs0/") + 24
    )
    assert after is not None and oldest is not None
    assert oldest < deployment.cluster_time < after


def test_items_of_one_job_carry_their_place(mongo: MongoDeployment, database: str) -> None:
    with SourceUnderTest(mongo.uri, database) as jobs, jobs.reading() as reader:
        job_id = jobs.insert()
        jobs.advance(job_id, "download_submitted")
        reader.read_transitions(2)

        expected = jobs.history(job_id)

    assert reader.identities == expected
    assert [item.trans_id for item in expected] == [item.trans_id for item in reader.items]
