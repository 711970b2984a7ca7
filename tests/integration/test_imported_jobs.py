"""Jobs that were created in a gap with old times, as by an import: found by their ``_id``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from bson import ObjectId
from pymongo import ASCENDING, MongoClient
from pymongo.collection import Collection

from bridge.model.gap import Gap
from bridge.model.position import ClusterTime, position_before
from bridge.model.profile import PROFILES, Profile
from bridge.model.transition import Transition
from bridge.mongo.job_history_reader import JobHistoryReader
from tests.support.servers.mongo import MongoDeployment

Jobs = Collection[dict[str, Any]]

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=timezone.utc)
LAST_YEAR = NOW - timedelta(days=365)
GAP = Gap(NOW.timestamp(), position_before(ClusterTime(0)), NOW.timestamp() + 3600)
STATES = ("created", "running", "complete")
#: The profile ``cts`` with other names; the job id is the text of ``_id``.
CUSTOM = replace(PROFILES["cts"], id_field="_id", updated_field="changed", archive_field=None)


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[Jobs]:
    with MongoClient[dict[str, Any]](mongo.uri, w="majority") as client:
        collection = client[database].jobs
        collection.create_index([("_update_time", ASCENDING)])
        yield collection


def object_id(time: datetime, number: int = 0) -> ObjectId:
    """An ObjectId made at that time, as drivers make it: each greater than the last."""
    seconds = int(time.timestamp()).to_bytes(4, "big")
    return ObjectId(seconds + number.to_bytes(8, "big"))


def history_from(time: datetime) -> list[dict[str, Any]]:
    return [
        {"state": state, "time": time + timedelta(minutes=minute), "trans_id": f"{state}"}
        for minute, state in enumerate(STATES)
    ]


def job(name: str, created: datetime, first: datetime, number: int = 0) -> dict[str, Any]:
    """A job of three transitions from ``first`` on, whose ``_id`` was made at ``created``."""
    history = history_from(first)
    return {
        "_id": object_id(created, number),
        "id": name,
        "state": STATES[-1],
        "transition_times": history,
        "_update_time": history[-1]["time"],
    }


def read(jobs: Jobs, gap: Gap = GAP, cursor: str = "", **profile: Any) -> list[tuple[str, int]]:
    """The jobs of a gap, each with the number of its transitions that belong to it."""
    history = JobHistoryReader(jobs, replace(PROFILES["cts"], **profile))
    histories = list(history.transitions_in_gap(gap, cursor))
    cursors = [job_history.recovery_cursor for job_history in histories]
    assert cursors == sorted(cursors)
    assert history.count_in_gap(gap, cursor) == len(histories)
    return [(job_history.job_id, len(gap.select(job_history))) for job_history in histories]


def test_an_import_is_found_with_its_whole_history(jobs: Jobs) -> None:
    late = timedelta(minutes=5)
    jobs.insert_many(
        [
            job("before", LAST_YEAR, LAST_YEAR),
            job("imported", NOW + late, LAST_YEAR, 1),
            job("normal", NOW + late, NOW + late, 2),
            job("moved on", NOW + late, LAST_YEAR, 3) | {"_update_time": NOW + late},
            job("without time", NOW + late, LAST_YEAR, 4) | {"_update_time": None},
            job("seconds", NOW + late, LAST_YEAR, 5) | {"_update_time": LAST_YEAR.timestamp()},
            job("restored", LAST_YEAR, LAST_YEAR, 6) | {"_update_time": NOW + late},
            job("text id", LAST_YEAR, LAST_YEAR) | {"_id": "text"},
        ]
    )

    assert read(jobs) == [
        ("without time", 3),
        ("imported", 3),
        ("seconds", 3),
        ("moved on", 3),
        ("restored", 0),
        ("normal", 3),
    ]


def test_a_late_writer_is_found_within_the_margin(jobs: Jobs) -> None:
    """Its clock is 50 minutes slow; the job is older than the gap."""
    lost = NOW + timedelta(hours=1)
    slow = lost - timedelta(minutes=50)
    jobs.insert_one(
        job("late", LAST_YEAR, LAST_YEAR)
        | {
            "transition_times": [*history_from(LAST_YEAR), *history_from(slow)],
            "_update_time": slow + timedelta(minutes=2),
        }
    )

    assert read(jobs) == [("late", 3)]


def test_all_history_needs_no_ids(jobs: Jobs) -> None:
    jobs.insert_many([job("old", LAST_YEAR, LAST_YEAR), job("new", NOW, LAST_YEAR)])

    assert read(jobs, replace(GAP, since=None)) == [("old", 3), ("new", 3)]


def test_a_recovery_resumes_anywhere_in_an_import(jobs: Jobs) -> None:
    """Jobs that share the first eight bytes of their ``_id`` are read again."""
    numbers = [*range(3), *(number << 32 for number in range(1, 6))]
    jobs.insert_many(
        [
            *(job(f"import-{number}", NOW, LAST_YEAR, number) for number in numbers),
            job("without time", NOW, LAST_YEAR, 9) | {"_update_time": "never"},
            job("dated", LAST_YEAR, NOW),
        ]
    )
    history = JobHistoryReader(jobs, PROFILES["cts"])
    whole = list(history.transitions_in_gap(GAP))
    assert len(whole) == len(numbers) + 2

    for done in range(1, len(whole) + 1):
        cursor = max(job_history.recovery_cursor for job_history in whole[:done])

        rest = [name for name, _ in read(jobs, cursor=cursor)]

        left = [job_history.job_id for job_history in whole[done:]]
        assert rest[len(rest) - len(left) :] == left, cursor
        assert len(rest) <= len(left) + 3, cursor


def test_an_extended_gap_rereads_imports(jobs: Jobs) -> None:
    """The first read had passed them: its cursor is at a date."""
    later = NOW + timedelta(hours=3)
    jobs.insert_many(
        [
            job("already read", NOW, LAST_YEAR, 1),
            job("imported since", later, LAST_YEAR, 2),
            job("imported into the gap", later, NOW + timedelta(minutes=9), 3),
        ]
    )
    gap = replace(GAP, reread_from=(later - timedelta(minutes=1)).timestamp())
    cursor = f"t{round(later.timestamp() * 1e6):016x}"
    history = JobHistoryReader(jobs, PROFILES["cts"])

    found = [job_history.job_id for job_history in history.transitions_in_gap(gap, cursor)]

    assert found == ["imported since", "imported into the gap"]


@pytest.mark.parametrize(
    "profile",
    [CUSTOM, replace(CUSTOM, updated_field=None), PROFILES["ee2"]],
    ids=["custom", "without update time", "ee2"],
)
def test_an_import_is_found_in_any_profile(jobs: Jobs, profile: Profile) -> None:
    documents: Sequence[dict[str, Any]] = [
        job("before", LAST_YEAR, LAST_YEAR),
        job("imported", NOW, LAST_YEAR, 1),
    ]
    for document in documents:
        document |= {"status": "complete", "changed": document["_update_time"]}
        document["updated"] = document["_update_time"].timestamp()  # as ee2 stores it
    jobs.insert_many(documents)
    history = JobHistoryReader(jobs, profile)

    selected = {
        item.job_id
        for job_history in history.transitions_in_gap(GAP)
        for item in GAP.select(job_history)
        if isinstance(item, Transition)
    }

    assert selected == {str(documents[1]["_id"])}


def test_a_missing_collection_has_no_jobs(jobs: Jobs) -> None:
    jobs.drop()

    assert read(jobs) == []


def test_a_clustered_collection_is_read(jobs: Jobs) -> None:
    """It has no index named after ``_id``."""
    clustered = jobs.database.create_collection(
        "clustered", clusteredIndex={"key": {"_id": 1}, "unique": True}
    )
    clustered.insert_one(job("imported", NOW, LAST_YEAR))

    assert read(clustered) == [("imported", 3)]


def test_only_jobs_since_the_gap_are_looked_at(jobs: Jobs) -> None:
    """Although the index of the update time would do for the condition, and may look cheaper."""
    jobs.insert_many([job(f"old-{n}", LAST_YEAR, LAST_YEAR, n) for n in range(2000)])
    jobs.insert_many([job(f"new-{n}", NOW, LAST_YEAR, n) for n in range(20)])
    history = JobHistoryReader(jobs, PROFILES["cts"])

    for part in history._parts_of_gap(GAP, ""):
        find = {"find": "jobs", "filter": part.query, "sort": {part.order: 1}, **part.options}
        if part.options:
            find["hint"] = dict(part.options["hint"])
        plan = jobs.database.command("explain", find, verbosity="executionStats")
        assert plan["executionStats"]["totalDocsExamined"] <= 20, part.query
