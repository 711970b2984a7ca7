"""A recovery of jobs that clocks with different times have dated, while others write."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from bridge.demo.servers.process import poll
from tests.e2e.conftest import MakeScenario
from tests.support.delivery_case import ONE_DELIVERY
from tests.support.fault_scenario import FaultScenario
from tests.support.servers.mongo import MongoDeployment
from tests.support.small_oplog import roll_past

pytestmark = ONE_DELIVERY
Jobs = Collection[dict[str, Any]]
SLOWLY = {"delivery.window_messages": "50", "checkpoint.interval_seconds": "0.01"}


@pytest.fixture
def scenario(make_scenario: MakeScenario, forgetful: MongoDeployment) -> FaultScenario:
    return make_scenario(forgetful)


@pytest.fixture
def jobs(scenario: FaultScenario) -> Iterator[Jobs]:
    with MongoClient[dict[str, Any]](scenario.mongo.uri, w="majority") as client:
        collection = client[scenario.database].jobs
        collection.create_index("_update_time")
        yield collection


def started_job(job_id: str, ahead: float = 0.0) -> dict[str, Any]:
    """A job in its first state, from a service whose clock is ``ahead`` seconds fast."""
    now = datetime.now(timezone.utc) + timedelta(seconds=ahead)
    transition = {"state": "created", "time": now, "trans_id": f"{job_id}/0", "notif_sent": False}
    return {"id": job_id, "state": "created", "transition_times": [transition], "_update_time": now}


def move(jobs: Jobs, job_id: str) -> None:
    """Its next state, by a service whose clock is right."""
    now = datetime.now(timezone.utc)
    transition = {"state": "running", "time": now, "trans_id": f"{job_id}/1", "notif_sent": False}
    update = {
        "$push": {"transition_times": transition},
        "$set": {"state": "running", "_update_time": now},
    }
    assert jobs.update_one({"id": job_id}, update).modified_count == 1


def first_arrivals(scenario: FaultScenario) -> list[str]:
    """First arrivals, in their order."""
    return list(
        dict.fromkeys(
            json.loads(record.value or b"")["trans_id"]
            for record in scenario.kafka.read(scenario.topic)
        )
    )


def committed(jobs: Jobs) -> set[str]:
    return {element["trans_id"] for job in jobs.find() for element in job["transition_times"]}


def test_a_job_dated_back_meanwhile_is_recovered(scenario: FaultScenario, jobs: Jobs) -> None:
    """Another clock sets its update time back during the read."""
    jobs.insert_many([started_job(f"ahead-{number}", 30 + number / 3000) for number in range(3000)])
    jobs.insert_one(started_job("set-back", 40))
    bridge = scenario.bridge(start__from="history", **SLOWLY).start()
    poll(lambda: scenario.checkpoint().get("place") not in ("", None), "progress", 120)
    bridge.kill()
    assert scenario.checkpoint()["gap"] is not None, "it was over already"
    move(jobs, "set-back")  # its update time is before the recovery cursor now
    bridge.start()

    poll(lambda: scenario.checkpoint()["gap"] is None, "the end of the recovery", 200)
    poll(lambda: committed(jobs) == set(first_arrivals(scenario)), "everything", 120)
    assert [
        trans_id for trans_id in first_arrivals(scenario) if trans_id.startswith("set-back")
    ] == [
        "set-back/0",
        "set-back/1",
    ]
    assert bridge.wait_ready().stop() == 0


def test_a_stream_lost_again_during_recovery_loses_nothing(
    scenario: FaultScenario, jobs: Jobs
) -> None:
    jobs.insert_many(
        [started_job(f"before-{number}", -1 + number / 3000) for number in range(3000)]
    )
    bridge = scenario.bridge(start__from="history", recovery__margin_seconds="1", **SLOWLY).start()
    poll(lambda: scenario.checkpoint().get("place") not in ("", None), "progress", 120)
    with scenario.kafka_paused():
        gap = scenario.checkpoint()["gap"]
        assert gap is not None, "it was over already"
        time.sleep(3)  # longer than the margin
        for number in range(20):
            jobs.insert_one(started_job(f"late-{number}"))
            time.sleep(0.2)  # not all within the margin of the last that is read
        roll_past(scenario.mongo, gap["cluster_time"])

    poll(lambda: scenario.checkpoint()["gap"] is None, "the end of the recovery", 200)
    assert bridge.has_logged("The oplog no longer reaches back")
    poll(lambda: committed(jobs) == set(first_arrivals(scenario)), "everything", 120)
    assert bridge.wait_ready().stop() == 0


def test_late_writers_and_imports_are_recovered(scenario: FaultScenario, jobs: Jobs) -> None:
    """A writer's clock is 50 minutes slow; an import has times of last year."""
    bridge = scenario.bridge().start().wait_ready()
    jobs.insert_one(started_job("delivered"))
    poll(lambda: first_arrivals(scenario) == ["delivered/0"], "the first job", 60)
    assert bridge.stop() == 0
    jobs.insert_one(started_job("late", -50 * 60) | {"_id": "not a time"})
    imported = started_job("imported", -365 * 86400)
    imported["transition_times"] += started_job("imported", -364 * 86400)["transition_times"]
    imported["transition_times"][1]["trans_id"] = "imported/1"
    jobs.insert_one(imported)
    roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])
    bridge.start().wait_ready()

    poll(lambda: committed(jobs) == set(first_arrivals(scenario)), "everything", 60)
    in_order = [name for name in first_arrivals(scenario) if name.startswith("imported")]
    assert in_order == ["imported/0", "imported/1"]
    assert bridge.has_logged("of 3 jobs read, transitions since ")
    assert bridge.stop() == 0
