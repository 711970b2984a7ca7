"""How long MongoDB keeps earlier versions of documents."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.model.position import ClusterTime
from bridge.mongo.job_documents import JobDocuments
from bridge.mongo.job_lookup import JobLookup
from tests.support.source_under_test import READ_SECONDS, SourceUnderTest

WINDOW = "minSnapshotHistoryWindowInSeconds"


@contextmanager
def no_snapshots(jobs: SourceUnderTest) -> Iterator[None]:
    """Let MongoDB keep no earlier documents."""
    admin = jobs.client.admin
    seconds = admin.command({"getParameter": 1, WINDOW: 1})[WINDOW]
    admin.command({"setParameter": 1, WINDOW: 0})
    try:
        yield
    finally:
        admin.command({"setParameter": 1, WINDOW: seconds})


def wait_until_too_old(jobs: SourceUnderTest, moment: ClusterTime) -> None:
    """Wait until MongoDB no longer has the documents of a time; inside :func:`no_snapshots`."""
    lookup = JobLookup(jobs.collection, JobDocuments(jobs.profile).fields)
    deadline = time.monotonic() + READ_SECONDS
    # The oldest snapshot advances with the writes.
    while lookup.at("any", moment) is not None:
        assert time.monotonic() < deadline, "MongoDB still has the documents of that time"
        jobs.database["other writes"].insert_one({})
