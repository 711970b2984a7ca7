"""Jobs that are started again, after their earlier history was moved to another field."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from bridge.model.transition import Transition
from tests.support.job_writer import now
from tests.support.servers.mongo import MongoDeployment
from tests.support.source_under_test import Identity, SourceUnderTest, identity

RESET: list[dict[str, Any]] = [
    {
        "$set": {
            "state": "download_submitted",
            "trans_history": {
                "$concatArrays": [{"$ifNull": ["$trans_history", []]}, "$transition_times"]
            },
            "transition_times": [
                {
                    "$mergeObjects": [
                        {"$first": "$transition_times"},
                        {"state": "download_submitted", "trans_id": "again"},
                    ]
                }
            ],
        }
    }
]


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    with SourceUnderTest(mongo.uri, database) as jobs:
        yield jobs


def test_a_restarted_job_sends_its_first_transition(
    jobs: SourceUnderTest,
) -> None:
    """Its earlier history was moved to another field."""
    with jobs.reading() as reader:
        job_id = jobs.insert()
        for state in ("download_submitted", "error"):
            jobs.advance(job_id, state)
        assert jobs.collection.update_one({"id": job_id}, RESET).modified_count == 1
        before = jobs.history(job_id)
        jobs.advance(job_id, "job_submitting")
        found = reader.read_transitions(5)

    assert found == jobs.history(job_id)
    # Its time was left as it was, so its number follows that of the last transition before.
    assert before[3] == Identity(
        job_id, "download_submitted", "again", (found[2].sequence or 0) + 1
    )
    first, again = reader.items[0], reader.items[3]
    assert isinstance(first, Transition) and isinstance(again, Transition)
    assert again.time == first.time


def test_a_restarted_job_has_its_new_time(jobs: SourceUnderTest) -> None:
    moment = now() + timedelta(minutes=5)
    with jobs.reading() as reader:
        job_id = jobs.insert()
        jobs.collection.update_one(
            {"id": job_id},
            [
                {
                    "$set": {
                        "state": "x",
                        "transition_times": [
                            {
                                "$mergeObjects": [
                                    {"$first": "$transition_times"},
                                    {"state": "x", "trans_id": "again", "time": moment},
                                ]
                            }
                        ],
                    }
                }
            ],
        )
        reader.read_transitions(2)

    item = reader.items[1]
    assert identity(item) == jobs.history(job_id)[-1]
    assert identity(item).trans_id == "again"
    assert isinstance(item, Transition) and item.time == moment.isoformat()
