"""A collection restored from a backup lacks what was delivered; a recovered job has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from bridge.model.profile import PROFILES
from bridge.model.transition import Transition, made_trans_id
from bridge.mongo.job_history_reader import JobHistoryReader
from tests.support.archived_jobs import NOW, Document, element, job
from tests.support.servers.mongo import MongoDeployment

#: A job of both generations: its last state was delivered before the service recovered it.
CREATED, FAILED, AGAIN = element("created", 900), element("error", 800), element("created", 700)
OLD = job("a", None, CREATED, FAILED)
RECOVERED = job("a", [CREATED, FAILED], AGAIN)
OTHER = job("other", None, element("created", 1000))


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[Collection[Document]]:
    with MongoClient[Document](mongo.uri, w="majority") as client:
        client[database].jobs.insert_one(OTHER | {})
        yield client[database].jobs
        client.drop_database(database)


def delivered(element: Document, **changed: Any) -> Transition:
    """A delivered transition as the checkpoint contains it, without a sequence."""
    item = Transition("a", element["state"], element["time"].isoformat(), element["trans_id"])
    return item._replace(**changed)


@pytest.mark.parametrize("stored", [OLD, RECOVERED], ids=["old", "recovered"])
@pytest.mark.parametrize("updated", [NOW, NOW - timedelta(seconds=900)], ids=["newer", "older"])
@pytest.mark.parametrize("trans_id", [None, "error 800", made_trans_id("a", "1", "error")])
def test_a_delivered_transition_is_in_the_history(
    jobs: Collection[Document], stored: Document, updated: datetime, trans_id: str | None
) -> None:
    """Whatever the update time, and also if an older version made its identity of an index."""
    jobs.insert_one(stored | {"_update_time": updated})
    changed = {} if trans_id is None else {"trans_id": trans_id}

    reader = JobHistoryReader(jobs, PROFILES["cts"])

    assert reader.why_older_than(delivered(FAILED, **changed)) == ""


@pytest.mark.parametrize(
    ("stored", "last"),
    [
        (job("a", None, CREATED), FAILED),
        (job("a", None, CREATED), AGAIN),
        (OLD, AGAIN),
        (RECOVERED, element("error", 600)),
        (RECOVERED, element("created", 600)),
    ],
)
def test_a_restored_job_lacks_what_was_delivered(
    jobs: Collection[Document], stored: Document, last: Document
) -> None:
    jobs.insert_one(stored | {})

    reason = JobHistoryReader(jobs, PROFILES["cts"]).why_older_than(delivered(last))

    assert f"the state {last['state']} of job a" in reason
    assert "which the collection does not contain" in reason


@pytest.mark.parametrize("stored", [OLD, RECOVERED], ids=["old", "recovered"])
def test_a_job_updated_since_decides_nothing(jobs: Collection[Document], stored: Document) -> None:
    """The service may have removed a transition from its history."""
    jobs.insert_one(stored | {"_update_time": NOW})

    gone = delivered(element("error", 600))

    assert JobHistoryReader(jobs, PROFILES["cts"]).why_older_than(gone) == ""
