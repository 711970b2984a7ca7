"""A sweep examines what it returns and nothing else, whatever else the collection holds: asked of MongoDB itself."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from bridge.demo.mongod import Mongod
from bridge.demo.workload import indexes
from bridge.model.profile import PROFILES
from bridge.source.decode import OPTIONS
from bridge.source.history import History
from bridge.source.tags import INDEX, JobTags, Sweep, TransitionTags

JOBS, CHUNK = 200_000, 5_000
OLD, YOUNG = 400, 100
TAG = "to_notify"
NOW = datetime.now(timezone.utc)
STATES = ("created", "running", "complete")

Document = dict[str, Any]
Jobs = Collection[Document]


@pytest.fixture(scope="module")
def jobs(mongo: Mongod) -> Iterator[Jobs]:
    """Many jobs that were sent long ago, with the service's own indexes, and some whose last transition was not."""
    with MongoClient[Document](mongo.uri) as client:
        jobs = client[f"test-{uuid.uuid4().hex[:12]}"].get_collection("jobs", codec_options=OPTIONS)
        jobs.create_indexes(indexes())
        for first in range(0, JOBS, CHUNK):
            jobs.insert_many([job(first + n, ago=86_400) for n in range(CHUNK)], ordered=False)
        jobs.insert_many([job(JOBS + n, ago=600, tagged=True) for n in range(OLD)])
        jobs.insert_many([job(JOBS + OLD + n, ago=10, tagged=True) for n in range(YOUNG)])
        yield jobs
        client.drop_database(jobs.database.name)


def job(number: int, ago: float, *, tagged: bool = False) -> Document:
    times = [NOW - timedelta(seconds=ago + 3600 * n) for n in (2, 1, 0)]
    history = [
        {"state": state, "time": at, "trans_id": f"{number}/{n}", "notif_sent": not (tagged and n == 2)}
        for n, (state, at) in enumerate(zip(STATES, times, strict=True))
    ]
    whole: Document = {"id": f"job-{number}", "state": "complete", "transition_times": history, "_update_time": times[-1]}
    return whole | ({TAG: True} if tagged else {})


@pytest.mark.parametrize("kind", [TransitionTags, JobTags])
def test_it_examines_what_it_returns_and_nothing_else(jobs: Jobs, kind: type[TransitionTags] | type[JobTags]) -> None:
    tags = kind(jobs, PROFILES["cts"], "notif_sent" if kind is TransitionTags else TAG)
    sweep = Sweep(jobs, tags)
    sweep.create_index()
    try:
        assert sweep.missing_index() == ""
        before = NOW.timestamp() - 120
        told = list(tags.pending(before))
        stats = [explained(jobs, query, hint=INDEX) for query in tags.queries(before)]
    finally:
        jobs.drop_index(INDEX)

    assert len(told) == sweep.count(before) == sum(one["nReturned"] for one in stats) == OLD
    assert sum(one["totalDocsExamined"] for one in stats) <= 2 * OLD
    assert sum(one["totalKeysExamined"] for one in stats) <= 2 * OLD
    assert all(len(items) == 1 and items[0].state == "complete" for items in told)


def test_the_services_own_index_keeps_a_sweep_from_looking_at_every_job(jobs: Jobs) -> None:
    tags = TransitionTags(jobs, PROFILES["cts"], "notif_sent")

    assert Sweep(jobs, tags).missing_index() == ""
    (stats,) = (explained(jobs, query) for query in tags.queries(NOW.timestamp() - 120))
    assert stats["nReturned"] == OLD
    # It knows which jobs have something unsent, and not how old that is.
    assert stats["totalDocsExamined"] <= OLD + YOUNG


def test_without_any_index_it_looks_at_every_job_and_says_so(jobs: Jobs) -> None:
    tags = JobTags(jobs, PROFILES["cts"], TAG)

    assert Sweep(jobs, tags).missing_index() == INDEX
    assert sum(explained(jobs, query)["totalDocsExamined"] for query in tags.queries(NOW.timestamp())) >= JOBS


def test_a_gap_is_read_by_the_index_on_the_last_update(jobs: Jobs) -> None:
    history = History(jobs, PROFILES["cts"])
    since = NOW.timestamp() - 3600

    assert history.missing_index() == ""
    began = time.monotonic()
    found = list(history.jobs(since))
    took = time.monotonic() - began

    assert len(found) == history.count(since) == OLD + YOUNG
    places = [one.place for one in found]
    assert places == sorted(places)
    print(f"read {len(found)} of {JOBS} jobs in {took:.2f} s")
    for query in history._queries(since, ""):
        stats = explained(jobs, query, sort={"_update_time": 1})
        assert stats["totalDocsExamined"] == stats["nReturned"]


def explained(jobs: Jobs, query: Document, **options: Any) -> Document:
    """What MongoDB did for a query."""
    command = {"find": jobs.name, "filter": query, **options}
    plan = jobs.database.command("explain", command, verbosity="executionStats")
    found: Document = plan["executionStats"]
    return found
