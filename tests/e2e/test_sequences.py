"""``ce_sequence`` orders the transitions of a job, also over recoveries of the job."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pymongo import MongoClient

from tests.support.delivery_case import ONE_DELIVERY
from tests.support.fault_scenario import FORTY_JOBS, FaultScenario
from tests.support.messages import header, values


@ONE_DELIVERY
def test_the_highest_sequence_is_the_true_state(scenario: FaultScenario) -> None:
    """A consumer that keeps the message with the highest number ends with the job's state."""
    bridge = scenario.bridge().start().wait_ready()
    scenario.run_jobs(FORTY_JOBS)
    scenario.finish(bridge).check(repeated_at_most=0)

    records = scenario.kafka.read(scenario.topic)
    numbered: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for record, message in zip(records, values(records), strict=True):
        sequence = int(header(record, "ce_sequence") or b"")
        numbered[message["job_id"]].append((sequence, message["state"]))
    with MongoClient[Any](scenario.mongo.uri) as client:
        jobs = list(client[scenario.database].jobs.find())
    assert {job_id: max(pairs)[1] for job_id, pairs in numbered.items()} == {
        job["id"]: job["state"] for job in jobs
    }
    assert all(pairs == sorted(set(pairs)) for pairs in numbered.values())
    assert any("trans_history" in job for job in jobs)
