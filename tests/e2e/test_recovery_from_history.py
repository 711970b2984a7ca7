"""Recoveries that read the whole history, or much of it."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from typing import Any

import pytest
from bson.objectid import ObjectId
from pymongo import MongoClient

from bridge.demo.servers.process import poll
from tests.e2e.conftest import MakeScenario
from tests.support.backlog import load
from tests.support.delivery_case import ONE_DELIVERY
from tests.support.fault_scenario import FORTY_JOBS, FaultScenario
from tests.support.servers.mongo import MongoDeployment
from tests.support.servers.records import TopicRecord
from tests.support.service_run import elements
from tests.support.small_oplog import roll_past

pytestmark = ONE_DELIVERY
HISTORY_LOST, UNUSABLE = 80, 83
#: Small enough to leave out earlier messages, large enough for the clock of this machine.
MARGIN = 1.0
JOBS, TRANSITIONS = 20_000, 2


@pytest.fixture
def scenario(make_scenario: MakeScenario, forgetful: MongoDeployment) -> FaultScenario:
    return make_scenario(forgetful)


def test_a_new_deployment_publishes_all_history_once(scenario: FaultScenario) -> None:
    scenario.run_jobs(FORTY_JOBS)
    roll_past(scenario.mongo, [int(time.time()), 0])
    bridge = scenario.bridge(start__from="history").start().wait_ready()
    first = scenario.origins()
    with scenario.load() as load:
        load.await_commits(100)
    scenario.finish(bridge).check(repeated_at_most=0, at_least=40 + 100)
    bridge.start().wait_ready()
    scenario.wait_for_arrival()
    assert bridge.stop() == 0

    assert first["recovery"] >= 40 and first["stream"] == 0
    assert scenario.origins()["recovery"] == first["recovery"]


def test_late_writes_are_recovered_in_another_round(
    scenario: FaultScenario,
) -> None:
    for _ in range(10):  # jobs of one load have one update time
        load(scenario.mongo.uri, scenario.database, 300, 2)
    bridge = scenario.bridge(
        start__from="history", delivery__window_messages="100", checkpoint__interval_seconds="0.05"
    ).start()
    poll(lambda: scenario.checkpoint().get("place") not in ("", None), "progress", 120)
    bridge.kill()
    reached = scenario.checkpoint()
    assert reached["gap"] is not None
    late = datetime.fromtimestamp(int(reached["place"][1:], 16) / 1e6 - 20, timezone.utc)
    with MongoClient[Any](scenario.mongo.uri) as client:
        transition = {"state": "created", "time": late, "trans_id": "late", "notif_sent": False}
        client[scenario.database].jobs.insert_one(
            {
                "id": "late",
                "state": "created",
                "transition_times": [transition],
                "_update_time": late,
            }
        )
    roll_past(scenario.mongo, reached["gap"]["cluster_time"])

    bridge.start()
    poll(lambda: scenario.checkpoint()["gap"] is None, "the end of the recovery", 120)
    assert bridge.wait_ready().stop() == 0

    assert bridge.has_logged("The oplog no longer reaches back")
    arrived = {
        json.loads(record.value or b"")["trans_id"]
        for record in scenario.kafka.read(scenario.topic)
    }
    assert "late" in arrived and len(arrived) == 10 * 300 * 2 + 1


def test_without_history_the_latest_state_is_recovered(
    scenario: FaultScenario,
) -> None:
    """The log admits that states in between are unknown."""
    profile = {"jobs.profile": "ee2", "recovery.margin_seconds": "0"}
    with MongoClient[Any](scenario.mongo.uri) as client:
        jobs = client[scenario.database]["ee2_jobs"]
        # In the second of the checkpoint they would count as inserted after it.
        minute_ago = (int(time.time()) - 60).to_bytes(4, "big")
        untouched, changed = (ObjectId(minute_ago + ObjectId().binary[4:]) for _ in range(2))
        for key in (untouched, changed):
            jobs.insert_one({"_id": key, "status": "created", "updated": time.time() - 60})
        bridge = scenario.bridge(**profile).start().wait_ready()
        jobs.insert_one({"_id": ObjectId(), "status": "created", "updated": time.time()})
        poll(lambda: bridge.metric("job_bridge_messages_acked_total") == 1, "the first message")
        time.sleep(1.5)
        assert bridge.stop() == 0
        for status in ("queued", "running", "completed"):
            jobs.update_one({"_id": changed}, {"$set": {"status": status, "updated": time.time()}})
        roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])
        bridge.start().wait_ready()

    published = [
        (message["job_id"], message["state"])
        for message in (json.loads(record.value or b"") for record in recovered(scenario))
    ]
    # The last job of before shares its second with the checkpoint.
    assert (
        (str(changed), "completed") in published
        and str(untouched) not in dict(published)
        and len(published) <= 2
    )
    # Messages that the topic already has are read as well, and left out.
    read = bridge.metric("job_bridge_recovered_latest_state_only_total")
    assert read == len(published) + bridge.metric("job_bridge_read_back_left_out_total")
    assert bridge.has_logged("only each job's latest state can be recovered")
    assert bridge.stop() == 0


def recovered(scenario: FaultScenario) -> list[TopicRecord]:
    return [
        record
        for record in scenario.kafka.read(scenario.topic)
        if dict(record.headers).get("ce_origin") == b"recovery"
    ]


def test_many_thousand_jobs_in_the_gap(scenario: FaultScenario) -> None:
    """All jobs are recovered in order; the time it takes is printed."""
    bridge = (
        scenario.bridge(recovery__margin_seconds=str(MARGIN), kafka__headers="none")
        .start()
        .wait_ready()
    )
    scenario.run_jobs(FORTY_JOBS)
    scenario.wait_for_arrival()
    assert bridge.stop() == 0
    already, stored = len(scenario.arrived()), scenario.checkpoint()["cluster_time"]
    for recovered in (False, True):
        load(scenario.mongo.uri, scenario.database, JOBS // 2, TRANSITIONS, recovered=recovered)
    roll_past(scenario.mongo, stored)
    began = time.monotonic()
    bridge.start()
    expected = already + JOBS * TRANSITIONS
    poll(lambda: bridge.running and scenario.count() >= expected, "the whole gap", 240)
    took = time.monotonic() - began
    assert bridge.wait_ready().stop() == 0
    print(f"{JOBS * TRANSITIONS} transitions of {JOBS} jobs recovered in {took:.1f} s")

    order: dict[str, list[str]] = {}
    for record in scenario.kafka.read(scenario.topic):
        value = json.loads(record.value or b"")
        order.setdefault(value["job_id"], []).append(value["trans_id"])
    with MongoClient[Any](scenario.mongo.uri) as client:
        for job in client[scenario.database].jobs.find():
            published = [element["trans_id"] for element in elements(job)]
            assert list(dict.fromkeys(order.pop(job["id"]))) == published
    assert not order
