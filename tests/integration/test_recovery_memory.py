"""A recovery of a large gap holds a few hundred jobs at a time."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pymongo import ASCENDING, MongoClient
from pymongo.collection import Collection

from bridge.model.gap import Gap
from bridge.model.position import ClusterTime, position_before
from bridge.model.profile import PROFILES
from bridge.mongo.job_history_reader import JobHistoryReader
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.pulse import Pulse
from bridge.pipeline.recovery_progress import RecoveryProgress
from bridge.pipeline.recovery_stream import RecoveryStream
from tests.support.factories import at
from tests.support.fakes import FakeClock, FakeStream, Log
from tests.support.servers.mongo import MongoDeployment
from tests.support.slow_readers import PolledCall, PolledReader

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=timezone.utc)
JOBS, TRANSITIONS = 50_000, 7
#: All transitions together need more than 200 MB.
MAX_GROWTH = 32 * 2**20


@pytest.fixture
def jobs(mongo: MongoDeployment, database: str) -> Iterator[Collection[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        collection = client[database].jobs
        collection.create_index([("_update_time", ASCENDING)])
        for first in range(0, JOBS, 1000):
            collection.insert_many([job(number) for number in range(first, first + 1000)])
        yield collection
        collection.drop()


def job(number: int) -> dict[str, Any]:
    """Half of the jobs are imports; all others were updated near the end of the gap."""
    begin = NOW + timedelta(milliseconds=number) - timedelta(days=365 * (number % 2))
    history = [
        {"state": f"state {n}", "time": begin + timedelta(seconds=n), "trans_id": f"{number}/{n}"}
        for n in range(TRANSITIONS)
    ]
    last = history[-1]
    return {
        "id": f"job-{number}",
        "state": last["state"],
        "transition_times": history,
        "_update_time": last["time"],
    }


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_large_gap_stays_in_bounded_memory(jobs: Collection[dict[str, Any]]) -> None:
    """350 000 transitions, of which half are read twice; none is delivered twice."""
    gap = Gap(NOW.timestamp(), position_before(ClusterTime(2**31)), NOW.timestamp())
    history = JobHistoryReader(jobs, PROFILES["cts"])
    stream = RecoveryStream(
        PolledReader(history.transitions_in_gap(gap)),
        PolledCall(lambda: FakeStream(Log(), gap.until)),
        gap,
        start=at(0),
        progress=RecoveryProgress(gap, JOBS, PipelineContext(Pulse(FakeClock()))),
        latest_only=False,
    )
    gc.collect()
    before = peak = resident_bytes()
    started = time.monotonic()
    transitions = 0

    while (batch := stream.read()) is None or batch.position < gap.until:
        if batch is not None:
            transitions += sum(len(event.items) for event in batch.events)
            peak = max(peak, resident_bytes())

    print(
        f"{transitions} transitions in {time.monotonic() - started:.1f} s, "
        f"{(peak - before) / 2**20:.1f} MiB more memory"
    )
    assert transitions == JOBS * TRANSITIONS
    assert peak - before < MAX_GROWTH
