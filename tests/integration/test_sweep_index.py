"""A sweep examines only what it returns, in any collection, according to MongoDB's explain."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.monitoring import CommandStartedEvent

from bridge.demo.job_service.indexes import indexes
from bridge.model.profile import PROFILES, Profile
from bridge.mongo.decoder import OPTIONS
from bridge.mongo.job_history_reader import JobHistoryReader
from bridge.mongo.job_tags import JobTags
from bridge.mongo.tag_sweep import TagSweep
from bridge.mongo.transition_tags import TransitionTags
from tests.support.sent_commands import SentCommands
from tests.support.servers.mongo import MongoDeployment

JOBS, CHUNK = 50_000, 5_000
OLD, YOUNG = 400, 100
TAG = "to_notify"
CTS = PROFILES["cts"]
NOW = datetime.now(timezone.utc)
BEFORE = NOW.timestamp() - 120
STATES = ("created", "running", "complete")

Document = dict[str, Any]
Jobs = Collection[Document]
Tags = TransitionTags | JobTags


class Finds(SentCommands):
    """The finds that were sent, as MongoDB can explain them."""

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find":
            kept = ("find", "filter", "projection", "hint", "min", "max")
            self.commands.append(
                {name: event.command[name] for name in kept if name in event.command}
            )


FINDS = Finds()


@pytest.fixture(scope="module")
def jobs(mongo: MongoDeployment) -> Iterator[Jobs]:
    """Many jobs that were sent long ago, with the service's own indexes."""
    with MongoClient[Document](mongo.uri, event_listeners=[FINDS]) as client:
        jobs = client[f"test-{uuid.uuid4().hex[:12]}"].get_collection("jobs", codec_options=OPTIONS)
        jobs.create_indexes(indexes())
        for first in range(0, JOBS, CHUNK):
            jobs.insert_many([job(first + n, ago=86_400) for n in range(CHUNK)], ordered=False)
        yield jobs
        client.drop_database(jobs.database.name)


@contextmanager
def tagged(jobs: Jobs, old: int = OLD, young: int = YOUNG) -> Iterator[None]:
    """Some jobs besides whose last transition was not sent."""
    jobs.insert_many([job(JOBS + n, ago=600, tagged=True) for n in range(old)])
    jobs.insert_many([job(JOBS + old + n, ago=10, tagged=True) for n in range(young)])
    try:
        yield
    finally:
        jobs.delete_many({TAG: True})


def tags_of(jobs: Jobs, kind: type[Tags], tag: str = "", profile: Profile = CTS) -> Tags:
    return kind(jobs, profile, tag or ("notif_sent" if kind is TransitionTags else TAG))


def names_of(tags: Tags) -> list[str]:
    """The names of the indexes of these tags, oldest transitions first."""
    return [*dict.fromkeys(search.index_name for search in tags.searches(BEFORE))]


def create_indexes(jobs: Jobs, tags: Tags) -> None:
    TagSweep(jobs, tags).create_indexes(names_of(tags))


def search_queries(tags: Tags, before: float = BEFORE) -> list[Document]:
    return [search.query for search in tags.searches(before)]


def job(number: int, ago: float, *, tagged: bool = False) -> Document:
    times = [NOW - timedelta(seconds=ago + 3600 * n) for n in (2, 1, 0)]
    history = [
        {
            "state": state,
            "time": at,
            "trans_id": f"{number}/{n}",
            "notif_sent": not (tagged and n == 2),
        }
        for n, (state, at) in enumerate(zip(STATES, times, strict=True))
    ]
    whole: Document = {
        "id": f"job-{number}",
        "state": "complete",
        "transition_times": history,
        "_update_time": times[-1],
    }
    return whole | ({TAG: True} if tagged else {})


@pytest.mark.parametrize("old", [150, 1000])
@pytest.mark.parametrize("kind", [TransitionTags, JobTags])
def test_a_sweep_examines_only_what_it_returns(jobs: Jobs, kind: type[Tags], old: int) -> None:
    tags = tags_of(jobs, kind)
    sweep = TagSweep(jobs, tags)
    create_indexes(jobs, tags)
    with tagged(jobs, old, young=5000):
        try:
            assert sweep.missing_indexes() == []
            FINDS.commands.clear()
            pending = list(tags.pending(BEFORE))
            sent = [command for command in FINDS.commands if "_id" not in command["filter"]]
            assert sweep.count(BEFORE) == old
            counted = [command for command in FINDS.commands if "_id" not in command["filter"]][
                len(sent) :
            ]
            read, count = explained(jobs, *sent), explained(jobs, *counted)
        finally:
            for name in names_of(tags):
                jobs.drop_index(name)

    assert len(pending) == old
    assert all(len(items) == 1 and items[0].state == "complete" for items in pending)
    for stats in (read, count):
        assert stats["nReturned"] == old
        assert stats["totalDocsExamined"] <= 2 * old
        assert stats["totalKeysExamined"] <= 2 * old


def test_the_services_index_spares_a_collection_scan(jobs: Jobs) -> None:
    """It contains the current transitions; those in the archive need an index."""
    tags = TransitionTags(jobs, CTS, "notif_sent")
    _, current = search_queries(tags)

    with tagged(jobs):
        assert TagSweep(jobs, tags).missing_indexes() == names_of(tags)[:1]
        stats = explained(jobs, {"find": jobs.name, "filter": current})
    assert stats["nReturned"] == OLD
    # It knows which jobs have something unsent, and not how old that is.
    assert stats["totalDocsExamined"] <= OLD + YOUNG


def test_without_an_index_every_job_is_examined(jobs: Jobs) -> None:
    tags = JobTags(jobs, CTS, TAG)

    assert TagSweep(jobs, tags).missing_indexes() == names_of(tags)
    queries = search_queries(tags, NOW.timestamp())
    assert (
        explained(jobs, *({"find": jobs.name, "filter": query} for query in queries))[
            "totalDocsExamined"
        ]
        >= JOBS
    )


def test_a_gap_is_read_by_the_update_index(jobs: Jobs) -> None:
    history = JobHistoryReader(jobs, CTS)
    since = NOW.timestamp() - 3600

    with tagged(jobs):
        assert history.unindexed_field() == ""
        began = time.monotonic()
        histories = list(history.jobs(since))
        took = time.monotonic() - began

        assert len(histories) == history.count(since) == OLD + YOUNG
        cursors = [job_history.recovery_cursor for job_history in histories]
        assert cursors == sorted(cursors)
        print(f"read {len(histories)} of {JOBS} jobs in {took:.2f} s")
        for part in history._parts(since, ""):
            stats = explained(
                jobs, {"find": jobs.name, "filter": part.query, "sort": {"_update_time": 1}}
            )
            assert stats["totalDocsExamined"] == stats["nReturned"]


def explained(jobs: Jobs, *commands: Document) -> Counter[str]:
    """MongoDB's statistics of these finds, added up."""
    plans = [
        jobs.database.command("explain", command, verbosity="executionStats")
        for command in commands
    ]
    names = ("nReturned", "totalDocsExamined", "totalKeysExamined")
    return Counter({name: sum(plan["executionStats"][name] for plan in plans) for name in names})
