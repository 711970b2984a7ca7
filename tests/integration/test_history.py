"""The jobs' history, read by the time of their last update, whatever that is in a document."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from bson import ObjectId
from bson.decimal128 import Decimal128
from bson.min_key import MinKey
from bson.timestamp import Timestamp
from pymongo import ASCENDING, MongoClient
from pymongo.collection import Collection

from bridge.demo.mongod import Mongod
from bridge.model.profile import PROFILES
from bridge.source.history import History
from bridge.source.plans import scans

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=timezone.utc)
MISSING = object()
#: Update times by job, those without a usable one first.
ODD: dict[str, Any] = {
    "missing": MISSING, "null": None, "text": NOW.isoformat(), "flag": True, "id": ObjectId(), "counter": Timestamp(1, 1),
    "bytes": b"late", "no number": math.nan, "empty list": [], "least": MinKey(),
}
NUMBERS: dict[str, Any] = {
    "unusable": 1e15, "old number": NOW.timestamp() - 900, "number": NOW.timestamp(), "later number": NOW.timestamp() + 5,
    "decimal": Decimal128("1e12"), "before 1970": -5.0,
}
DATES: dict[str, Any] = {"old date": NOW - timedelta(minutes=15), "date": NOW, "later date": NOW + timedelta(seconds=5)}
OLD = {"old number", "old date", "before 1970"}
EVERY = {**ODD, **NUMBERS, **DATES}


@pytest.fixture
def jobs(mongo: Mongod, database: str) -> Iterator[Collection[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo.uri, w="majority") as client:
        collection = client[database].jobs
        collection.create_index([("_update_time", ASCENDING)])
        collection.insert_many([
            {"id": name, **({} if time is MISSING else {"_update_time": time})} for name, time in EVERY.items()
        ])
        yield collection


@pytest.fixture
def history(jobs: Collection[dict[str, Any]]) -> History:
    return History(jobs, PROFILES["cts"])


def names(history: History, *where: Any) -> list[str]:
    return [job.job_id for job in history.jobs(*where)]


def test_a_job_whose_update_time_says_nothing_may_have_been_updated_at_any(history: History) -> None:
    since = NOW.timestamp() - 60

    assert set(names(history, since)) == EVERY.keys() - OLD
    assert len(names(history, since)) == history.count(since) == len(EVERY) - len(OLD)


def test_all_history_is_that_of_every_job_once(history: History) -> None:
    assert sorted(names(history)) == sorted(EVERY)


def test_wherever_it_stops_it_goes_on_with_all_the_rest(history: History) -> None:
    whole = list(history.jobs())
    for done in range(len(whole)):
        place = max((job.place for job in whole[:done]), default="")

        rest = names(history, None, place)

        assert {job.job_id for job in whole[done:]} <= set(rest), f"after {done} jobs, at {place!r}"
    assert len(rest) == 2, "and nothing twice but the last"


def test_going_back_reads_again_what_may_have_been_written_late(history: History) -> None:
    place = next(job.place for job in history.jobs() if job.job_id == "later date")

    assert names(history, None, place) == ["later date"]
    assert set(names(history, None, place, 60.0)) == EVERY.keys() - OLD
    assert names(history, NOW.timestamp() + 4, place, 60.0)[-1:] == ["later date"]


def test_nothing_is_looked_at_without_the_index(jobs: Collection[dict[str, Any]], history: History) -> None:
    jobs.insert_many([{"id": f"job-{n}", "_update_time": NOW - timedelta(days=1)} for n in range(2000)])
    for query in history._queries(NOW.timestamp(), ""):
        assert not scans(jobs, query), query
        plan = jobs.database.command("explain", {"find": "jobs", "filter": query}, verbosity="executionStats")
        assert plan["executionStats"]["totalDocsExamined"] <= len(EVERY), query
    assert history.missing_index() == ""
