"""The jobs' history, read by the time of their last update, whatever that is in a document."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from bson import ObjectId
from bson.decimal128 import Decimal128
from bson.min_key import MinKey
from bson.timestamp import Timestamp
from pymongo import ASCENDING, MongoClient
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bridge.demo.servers.process import poll
from bridge.model.gap import Gap
from bridge.model.position import ClusterTime, position_before
from bridge.model.profile import PROFILES
from bridge.mongo.job_documents import DATE, recovery_cursor_of
from bridge.mongo.job_history_reader import JobHistoryReader
from bridge.mongo.query_plans import lacks_index
from tests.support.held_replication import replication_held
from tests.support.servers.mongo import FAIL_POINTS, MongoDeployment

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=timezone.utc)
MISSING = object()
#: Update times by job, those without a usable one first.
ODD: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "text": NOW.isoformat(),
    "flag": True,
    "id": ObjectId(),
    "counter": Timestamp(1, 1),
    "bytes": b"late",
    "no number": math.nan,
    "empty list": [],
    "least": MinKey(),
}
NUMBERS: dict[str, Any] = {
    "unusable": 1e15,
    "old number": NOW.timestamp() - 900,
    "number": NOW.timestamp(),
    "later number": NOW.timestamp() + 5,
    "decimal": Decimal128("1e12"),
    "before 1970": -5.0,
}
DATES: dict[str, Any] = {
    "old date": NOW - timedelta(minutes=15),
    "date": NOW,
    "later date": NOW + timedelta(seconds=5),
}
OLD = {"old number", "old date", "before 1970"}
EVERY = {**ODD, **NUMBERS, **DATES}
#: Those updated then or later.
AGAIN = {"unusable", "number", "later number", "decimal", "date", "later date"}


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[Collection[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo.uri, w="majority") as client:
        collection = client[database].jobs
        collection.create_index([("_update_time", ASCENDING)])
        collection.insert_many(
            [
                {"_id": name, "id": name, **({} if time is MISSING else {"_update_time": time})}
                for name, time in EVERY.items()
            ]
        )
        yield collection


@pytest.fixture
def history(jobs: Collection[dict[str, Any]]) -> JobHistoryReader:
    return JobHistoryReader(jobs, PROFILES["cts"])


def names(history: JobHistoryReader, *where: Any) -> list[str]:
    return [job.job_id for job in history.jobs(*where)]


def test_a_job_without_update_time_is_always_read(
    history: JobHistoryReader,
) -> None:
    since = NOW.timestamp() - 60

    assert set(names(history, since)) == EVERY.keys() - OLD
    assert len(names(history, since)) == history.count(since) == len(EVERY) - len(OLD)


def test_all_history_is_that_of_every_job_once(history: JobHistoryReader) -> None:
    assert sorted(names(history)) == sorted(EVERY)


def test_it_resumes_with_the_rest_from_anywhere(history: JobHistoryReader) -> None:
    whole = list(history.jobs())
    for done in range(len(whole)):
        cursor = max((job.recovery_cursor for job in whole[:done]), default="")

        rest = names(history, None, cursor)

        assert {job.job_id for job in whole[done:]} <= set(rest), (
            f"after {done} jobs, at {cursor!r}"
        )
    assert len(rest) == 2, "and nothing twice but the last"


def ids_read(
    history: JobHistoryReader,
    cursor: str,
    since: float | None = None,
    reread_from: float | None = None,
) -> list[str]:
    gap = Gap(since, position_before(ClusterTime(0)), NOW.timestamp(), reread_from)
    job_ids = [job.job_id for job in history.transitions_in_gap(gap, cursor)]
    once, again = job_ids[: -len(AGAIN)], job_ids[-len(AGAIN) :]
    assert set(again) == AGAIN
    assert history.count_in_gap(gap, cursor) == len(once)
    return once


def test_an_extended_gap_rereads_recent_writes(
    history: JobHistoryReader,
) -> None:
    cursor, reread_from = recovery_cursor_of(DATE, NOW.timestamp() + 5), NOW.timestamp() - 60

    assert ids_read(history, cursor) == ["later date"]
    assert set(ids_read(history, cursor, reread_from=reread_from)) == EVERY.keys() - OLD
    assert ids_read(history, cursor, since=NOW.timestamp() + 4, reread_from=reread_from)[-1:] == [
        "later date"
    ]
    assert ids_read(
        history, recovery_cursor_of(DATE, NOW.timestamp() - 900), reread_from=reread_from
    )[-3:] == [
        "old date",
        "date",
        "later date",
    ]


def test_updates_during_the_reading_are_read_again(
    history: JobHistoryReader,
) -> None:
    """Another writer's clock moves a job from after the recovery cursor to before it."""
    assert set(ids_read(history, "")) == EVERY.keys()


def test_a_lagging_majority_is_waited_for(
    tmp_path_factory: pytest.TempPathFactory, database: str
) -> None:
    folder = tmp_path_factory.mktemp("majority")
    with (
        MongoDeployment(folder, nodes=3, arguments=FAIL_POINTS) as server,
        MongoClient[dict[str, Any]](server.uri, w=1) as client,
        ThreadPoolExecutor() as pool,
    ):
        jobs = client[database].jobs
        jobs.with_options(write_concern=WriteConcern("majority")).insert_one(
            {"id": "old", "_update_time": NOW}
        )

        def reads() -> bool:
            with client.admin.aggregate(
                [{"$currentOp": {}}, {"$match": {"command.find": "jobs", "command.$db": database}}]
            ) as histories:
                return next(histories, None) is not None

        with replication_held(server):
            jobs.insert_one({"id": "new", "_update_time": NOW})
            assert [
                job["id"] for job in jobs.with_options(read_concern=ReadConcern("majority")).find()
            ] == ["old"]
            reading = pool.submit(names, JobHistoryReader(jobs, PROFILES["cts"]))
            poll(lambda: reading.done() or reads(), "history to be read")

        assert reading.result() == ["old", "new"]


def test_nothing_is_looked_at_without_the_index(
    jobs: Collection[dict[str, Any]], history: JobHistoryReader
) -> None:
    jobs.insert_many(
        [{"id": f"job-{n}", "_update_time": NOW - timedelta(days=1)} for n in range(2000)]
    )
    for part in history._parts(NOW.timestamp(), ""):
        query = part.query
        assert not lacks_index(jobs, query), query
        plan = jobs.database.command(
            "explain", {"find": "jobs", "filter": query}, verbosity="executionStats"
        )
        assert plan["executionStats"]["totalDocsExamined"] <= len(EVERY), query
    assert history.unindexed_field() == ""
