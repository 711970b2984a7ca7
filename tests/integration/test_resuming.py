"""The start of streams: missing collections, refused tokens, idle positions."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from bridge.errors import BridgeError, CheckpointUnusable, Misconfigured, ResumePointLost, Retryable
from bridge.model.position import ClusterTime, Position, position_at, position_before
from tests.support.job_writer import now
from tests.support.killed_cursors import kill
from tests.support.servers.mongo import MongoDeployment
from tests.support.source_under_test import SourceUnderTest


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    with SourceUnderTest(mongo.uri, database) as jobs:
        yield jobs


def test_a_missing_collection_is_waited_for(jobs: SourceUnderTest) -> None:
    jobs.collection.drop()
    start = jobs.end_position()
    assert not jobs.source.collection_exists()

    with jobs.reading(start) as reader:
        expected = jobs.insert_many(1)
        assert reader.read_transitions(1) == expected
    assert jobs.source.collection_exists()


def test_a_view_is_refused(mongo: MongoDeployment, database: str) -> None:
    with SourceUnderTest(mongo.uri, database, mongo__collection="view") as jobs:
        jobs.collection.drop()
        jobs.database.command("create", "view", viewOn="jobs")

        with pytest.raises(Misconfigured, match="is a view"):
            jobs.source.identity()
        with pytest.raises(Misconfigured):
            jobs.source.open(position_at(now()), threading.Event(), by_time=False).__enter__()


@pytest.mark.parametrize("by_time", [False, True])
def test_a_token_of_other_stages_resumes_by_time(
    mongo: MongoDeployment, database: str, by_time: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is lost or repeated."""
    with SourceUnderTest(mongo.uri, database) as before, before.reading() as reader:
        before.collection.create_index("id")
        first = before.insert_many(4)
        job_id = first[0].job_id
        before.advance(job_id, "download_submitted")
        before.advance(job_id, "job_submitting")
        reader.read_transitions(6)
        middle = reader.events[4].position
        before.collection.update_one(
            {"id": job_id}, {"$set": {"transition_times.0.notif_sent": True}}
        )
    other = {
        "jobs__id_field": "id",
        "jobs__state_field": "status",
        "jobs__transitions_field": "transition_times",
    }

    with SourceUnderTest(mongo.uri, database, jobs__profile="custom", **other) as after:
        with after.reading(middle, by_time=by_time) as rest, caplog.at_level(logging.WARNING):
            rest.read_transitions(1)
            later = after.insert_many(2)
            assert rest.read_transitions(3) == [after.history(job_id)[2], *later]
            position = rest.position
        with after.reading(position) as again:
            last = after.insert_many(1)
            assert again.read_transitions(1) == last


def test_the_token_of_another_collection_resumes_by_time(
    mongo: MongoDeployment, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        SourceUnderTest(mongo.uri, database, mongo__collection="others") as others,
        SourceUnderTest(mongo.uri, database) as jobs,
        others.reading() as reader,
    ):
        others.insert_many(2)
        expected = jobs.insert_many(2)
        others.insert_many(1)
        reader.read_transitions(3)
        foreign = reader.events[1].position

        with caplog.at_level(logging.WARNING), jobs.reading(foreign) as rest:
            assert rest.read_transitions(2) == expected
            later = jobs.insert_many(2)
            assert rest.read_transitions(4) == [*expected, *later]
        with jobs.reading(rest.events[0].position) as again:
            assert again.read_transitions(3) == [*expected[1:], *later]

    assert "MongoDB rejects the resume token" in caplog.text


def test_a_time_begins_with_its_second(jobs: SourceUnderTest) -> None:
    before = position_at(now())
    expected = jobs.insert_many(3)

    with jobs.reading(before) as reader:
        assert reader.read_transitions(3) == expected


@pytest.mark.parametrize("rest", ["00", "FF" * 20, "2B042C0100296E5A10"])
def test_a_token_that_is_none_is_unusable(jobs: SourceUnderTest, rest: str) -> None:
    time = jobs.end_position().cluster_time
    garbage = Position(f"82{time.seconds:08X}{time.increment:08X}{rest}")

    with pytest.raises(BridgeError) as caught, jobs.reading(garbage) as reader:
        reader.read_to_end()

    assert type(caught.value) is CheckpointUnusable


def test_after_a_killed_cursor_the_next_stream_resumes(
    jobs: SourceUnderTest,
) -> None:
    expected = []
    start = jobs.end_position()
    for _ in range(3):
        with jobs.reading(start) as reader:
            expected += jobs.insert_many(3)
            reader.read_transitions(3)
            kill(jobs)
            expected += jobs.insert_many(2)
            assert type(reader.read_to_end()) is Retryable
            before_restart = reader.identities
        assert before_restart == expected[: len(before_restart)]
        with jobs.reading(reader.position) as rest:
            assert rest.read_transitions(5 - len(before_restart)) == expected[len(before_restart) :]
        start, expected = jobs.end_position(), []


def test_after_a_killed_operation_the_next_stream_resumes(
    jobs: SourceUnderTest,
) -> None:
    namespace = f"{jobs.database.name}.{jobs.collection.name}"
    with jobs.reading() as reader:
        first = jobs.insert_many(1)
        reader.read_transitions(1)
        running: list[int] = []
        while not running:
            match = {"ns": namespace, "command.getMore": {"$exists": True}, "active": True}
            running = [
                entry["opid"]
                for entry in jobs.client.admin.aggregate([{"$currentOp": {}}, {"$match": match}])
            ]
        jobs.client.admin.command("killOp", op=running[0])
        assert type(reader.read_to_end()) is Retryable

    second = jobs.insert_many(1)
    with jobs.reading(reader.position) as rest:
        assert rest.read_transitions(1) == second
    assert reader.identities == first


def test_an_idle_position_moves_and_resumes(jobs: SourceUnderTest) -> None:
    start = jobs.end_position()
    with jobs.reading(start) as reader:
        for number in range(3):
            jobs.database["elsewhere"].insert_one({})
            reader.read_past(reader.position if number else start)
        assert reader.events == []
        assert reader.position.token
    expected = jobs.insert_many(2)

    with jobs.reading(reader.position) as rest:
        assert rest.read_transitions(2) == expected


def test_a_position_before_the_oplog_is_history_lost(
    tmp_path_factory: pytest.TempPathFactory, database: str
) -> None:
    often = ("--syncdelay", "1")  # the oplog forgets only what a checkpoint on disk covers
    with (
        MongoDeployment(
            tmp_path_factory.mktemp("small"), oplog_megabytes=1, arguments=often
        ) as server,
        SourceUnderTest(server.uri, database) as jobs,
    ):
        with jobs.reading() as reader:
            jobs.insert_many(1)
            reader.read_transitions(1)
        stored = reader.events[0].position
        padding = "x" * 100_000
        for _ in range(400):
            oldest = jobs.source.cluster.oldest_oplog_entry()
            assert oldest is not None
            if oldest > stored.cluster_time:
                break
            jobs.database["elsewhere"].insert_many([{"padding": padding} for _ in range(40)])

        for lost in (stored, position_before(ClusterTime(stored.cluster_time.seconds, 0))):
            with pytest.raises(ResumePointLost, match="no longer reaches back"), jobs.reading(lost):
                pass


def test_more_than_one_batch_is_read_in_order(jobs: SourceUnderTest) -> None:
    start = jobs.end_position()
    elements = [{"state": "created", "time": now(), "trans_id": f"t{n}"} for n in range(2500)]
    jobs.collection.insert_many(
        [{"id": f"job-{n}", "transition_times": [element]} for n, element in enumerate(elements)]
    )

    with jobs.reading(start) as reader:
        identities = reader.read_transitions(2500)

    assert [identity.trans_id for identity in identities] == [f"t{n}" for n in range(2500)]
    assert max(len(batch.events) for batch in reader.batches) == 1000
