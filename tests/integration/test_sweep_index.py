"""A sweep examines what it returns and nothing else, whatever else the collection holds: asked of MongoDB itself."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.monitoring import CommandListener, CommandStartedEvent

from bridge.demo.mongod import Mongod
from bridge.demo.workload import indexes
from bridge.errors import Misconfigured
from bridge.model.profile import PROFILES, Profile
from bridge.source.decode import OPTIONS
from bridge.source.history import History
from bridge.source.tags import JobTags, Sweep, TransitionTags

JOBS, CHUNK = 200_000, 5_000
OLD, YOUNG = 400, 100
TAG = "to_notify"
CTS = PROFILES["cts"]
NOW = datetime.now(timezone.utc)
BEFORE = NOW.timestamp() - 120
STATES = ("created", "running", "complete")

Document = dict[str, Any]
Jobs = Collection[Document]
Tags = TransitionTags | JobTags


class Finds(CommandListener):
    """The finds that were sent, as MongoDB can explain them."""

    def __init__(self) -> None:
        self.commands: list[Document] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find":
            kept = ("find", "filter", "projection", "hint", "min", "max")
            self.commands.append({name: event.command[name] for name in kept if name in event.command})

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


FINDS = Finds()


@pytest.fixture(scope="module")
def jobs(mongo: Mongod) -> Iterator[Jobs]:
    """Many jobs that were sent long ago, with the service's own indexes."""
    with MongoClient[Document](mongo.uri, event_listeners=[FINDS]) as client:
        jobs = client[f"test-{uuid.uuid4().hex[:12]}"].get_collection("jobs", codec_options=OPTIONS)
        jobs.create_indexes(indexes())
        for first in range(0, JOBS, CHUNK):
            jobs.insert_many([job(first + n, ago=86_400) for n in range(CHUNK)], ordered=False)
        yield jobs
        client.drop_database(jobs.database.name)


@pytest.fixture
def few(mongo: Mongod, database: str) -> Iterator[Jobs]:
    """An empty collection that does not exist yet."""
    with MongoClient[Document](mongo.uri) as client:
        yield client[database].get_collection("jobs", codec_options=OPTIONS)
        client.drop_database(database)


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


def name_of(tags: Tags) -> str:
    return str(tags.index().document["name"])


def job(number: int, ago: float, *, tagged: bool = False) -> Document:
    times = [NOW - timedelta(seconds=ago + 3600 * n) for n in (2, 1, 0)]
    history = [
        {"state": state, "time": at, "trans_id": f"{number}/{n}", "notif_sent": not (tagged and n == 2)}
        for n, (state, at) in enumerate(zip(STATES, times, strict=True))
    ]
    whole: Document = {"id": f"job-{number}", "state": "complete", "transition_times": history, "_update_time": times[-1]}
    return whole | ({TAG: True} if tagged else {})


@pytest.mark.parametrize("old", [150, 1000])
@pytest.mark.parametrize("kind", [TransitionTags, JobTags])
def test_it_examines_what_it_returns_and_not_the_many_young_ones(jobs: Jobs, kind: type[Tags], old: int) -> None:
    tags = tags_of(jobs, kind)
    sweep = Sweep(jobs, tags)
    sweep.create_index()
    with tagged(jobs, old, young=5000):
        try:
            assert sweep.missing_index() == ""
            FINDS.commands.clear()
            told = list(tags.pending(BEFORE))
            sent = [one for one in FINDS.commands if "_id" not in one["filter"]]
            assert sweep.count(BEFORE) == old
            counted = [one for one in FINDS.commands if "_id" not in one["filter"]][len(sent):]
            read, count = explained(jobs, *sent), explained(jobs, *counted)
        finally:
            jobs.drop_index(name_of(tags))

    assert len(told) == old
    assert all(len(items) == 1 and items[0].state == "complete" for items in told)
    for stats in (read, count):
        assert stats["nReturned"] == old
        assert stats["totalDocsExamined"] <= 2 * old
        assert stats["totalKeysExamined"] <= 2 * old


@pytest.mark.parametrize("time", [None, "yesterday", 7, 7.5, True, Int64(7), {"at": 7}, [], "missing"])
def test_by_the_index_it_finds_the_same_whatever_the_time_is(few: Jobs, time: Any) -> None:
    def history(number: int, ago: float, **changed: Any) -> Document:
        element = {"state": "created", "time": NOW - timedelta(seconds=ago), "trans_id": f"{number}", "notif_sent": False} | changed
        return {name: value for name, value in element.items() if value != "missing"}

    few.insert_many([
        {"id": "odd", "transition_times": [history(0, 600, time=time)]},
        {"id": "beside an old one", "transition_times": [history(1, 600, time=time), history(2, 600)]},
        {"id": "beside a young one", "transition_times": [history(3, 600, time=time), history(4, 10)]},
        {"id": "beside one that was sent", "transition_times": [history(5, 600, time=time), history(6, 600, notif_sent=True)]},
    ])
    tags = tags_of(few, TransitionTags)

    without = list(tags.pending(BEFORE))
    Sweep(few, tags).create_index()

    assert list(tags.pending(BEFORE)) == without
    assert [item.trans_id for items in without for item in items] == ["2"]
    assert Sweep(few, tags).count(BEFORE) == 1


def test_all_that_tell_the_same_are_untagged_and_another_state_of_that_identity_is_not(few: Jobs) -> None:
    states = ("created", "created", "running")
    history = [{"state": state, "time": NOW, "trans_id": "same", "notif_sent": False} for state in states]
    few.insert_one({"id": "job-1", "transition_times": history})
    tags = TransitionTags(few, CTS, "notif_sent")
    (items,) = tags.pending(NOW.timestamp() + 1)

    tags.clear(items[:1])

    assert [item.state for items in tags.pending(NOW.timestamp() + 1) for item in items] == ["running"]


def test_a_job_whose_state_and_history_disagree_is_told_until_it_is_sent(few: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    few.insert_one(job(1, ago=600, tagged=True) | {"state": "error"})
    tags = JobTags(few, CTS, TAG)
    told = [items for _ in range(2) for items in tags.pending(BEFORE)]
    assert len(told) == 2  # the first may have been on its way when the run failed

    tags.clear(told[-1])

    assert list(tags.pending(BEFORE)) == []
    assert [record.getMessage() for record in caplog.records] == [
        "job job-1 is in state error and its history ends with complete: that is sent once, and the tag stays; correct the one or the other"
    ]
    few.update_one({}, {"$set": {"state": "complete"}})
    tags.clear(*tags.pending(BEFORE))
    assert few.count_documents({TAG: True}) == 0


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("time", [
    "yesterday", True, {"at": 7}, [], ["yesterday"], float("nan"), Regex("x"), Timestamp(7, 7), ObjectId(), b"x", MaxKey(), MinKey(), None, 7, "missing",
])
def test_a_tagged_job_whose_time_is_none_is_old(few: Jobs, time: Any, index: bool) -> None:
    whole = job(1, ago=10, tagged=True) | {"_update_time": time}
    few.insert_many([{name: value for name, value in whole.items() if value != "missing"}, job(2, ago=10, tagged=True)])
    tags = tags_of(few, JobTags)
    if index:
        Sweep(few, tags).create_index()

    assert [item.job_id for items in tags.pending(BEFORE) for item in items] == ["job-1"]


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize(
    ("kind", "other", "other_tag"),
    [
        (TransitionTags, JobTags, TAG), (JobTags, TransitionTags, "notif_sent"),
        (TransitionTags, TransitionTags, "was_sent"), (JobTags, JobTags, "a_tag"),
    ],
)
def test_an_index_of_other_tags_is_not_taken_for_the_right_one(
    few: Jobs, kind: type[Tags], other: type[Tags], other_tag: str, index: bool
) -> None:
    few.insert_one(job(1, ago=600, tagged=True))
    Sweep(few, tags_of(few, other, other_tag)).create_index()
    tags = tags_of(few, kind)
    sweep = Sweep(few, tags)
    assert sweep.missing_index() == name_of(tags)
    if index:
        sweep.create_index()
        assert sweep.missing_index() == ""

    assert sweep.count(BEFORE) == len(list(tags.pending(BEFORE))) == 1


def test_each_setting_that_makes_another_index_gives_it_another_name(few: Jobs) -> None:
    names = [
        name_of(tags_of(few, JobTags, tag, replace(CTS, updated_field=time)))
        for tag, time in (("a", "b_c"), ("a_b", "c"), ("a", "c"))
    ] + [
        name_of(tags_of(few, TransitionTags, tag, replace(CTS, transitions_field=field, transition_time=time)))
        for tag, field, time in (("a", "b", "c"), ("b", "b", "c"), ("a", "c", "c"), ("a", "b", "d"))
    ]

    assert len({*names}) == len(names)


@pytest.mark.parametrize("kind", [TransitionTags, JobTags])
def test_a_collection_that_does_not_exist_has_no_index_and_is_made_with_one(few: Jobs, kind: type[Tags]) -> None:
    sweep = Sweep(few, tags_of(few, kind))
    assert sweep.missing_index()

    sweep.create_index()

    assert sweep.missing_index() == ""
    assert name_of(tags_of(few, kind)) in few.index_information()


def test_an_index_that_is_there_under_another_name_is_named(few: Jobs) -> None:
    tags = tags_of(few, JobTags)
    few.create_index([(TAG, 1), ("_update_time", 1)], name="mine", partialFilterExpression={TAG: True})

    with pytest.raises(Misconfigured, match=r"under another name: .*mine"):
        Sweep(few, tags).create_index()


def test_the_services_own_index_keeps_a_sweep_from_looking_at_every_job(jobs: Jobs) -> None:
    tags = TransitionTags(jobs, CTS, "notif_sent")

    with tagged(jobs):
        assert Sweep(jobs, tags).missing_index() == ""
        stats = explained(jobs, *({"find": jobs.name, "filter": query} for query in tags.queries(BEFORE)))
    assert stats["nReturned"] == OLD
    # It knows which jobs have something unsent, and not how old that is.
    assert stats["totalDocsExamined"] <= OLD + YOUNG


def test_without_any_index_it_looks_at_every_job_and_says_so(jobs: Jobs) -> None:
    tags = JobTags(jobs, CTS, TAG)

    assert Sweep(jobs, tags).missing_index() == name_of(tags)
    queries = tags.queries(NOW.timestamp())
    assert explained(jobs, *({"find": jobs.name, "filter": query} for query in queries))["totalDocsExamined"] >= JOBS


def test_a_gap_is_read_by_the_index_on_the_last_update(jobs: Jobs) -> None:
    history = History(jobs, CTS)
    since = NOW.timestamp() - 3600

    with tagged(jobs):
        assert history.missing_index() == ""
        began = time.monotonic()
        found = list(history.jobs(since))
        took = time.monotonic() - began

        assert len(found) == history.count(since) == OLD + YOUNG
        places = [one.place for one in found]
        assert places == sorted(places)
        print(f"read {len(found)} of {JOBS} jobs in {took:.2f} s")
        for query in history._queries(since, ""):
            stats = explained(jobs, {"find": jobs.name, "filter": query, "sort": {"_update_time": 1}})
            assert stats["totalDocsExamined"] == stats["nReturned"]


def explained(jobs: Jobs, *commands: Document) -> Counter[str]:
    """What MongoDB did for these finds, together."""
    plans = [jobs.database.command("explain", command, verbosity="executionStats") for command in commands]
    names = ("nReturned", "totalDocsExamined", "totalKeysExamined")
    return Counter({name: sum(plan["executionStats"][name] for plan in plans) for name in names})
