"""A lost resume point: the oplog has rolled over, and the gap is recovered from the jobs."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

import pytest
from pymongo import MongoClient

from bridge.demo.servers.process import poll
from tests.e2e.conftest import MakeScenario
from tests.support.backlog import load
from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_case import ONE_DELIVERY
from tests.support.fault_scenario import FORTY_JOBS, FaultScenario
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment
from tests.support.service_run import elements
from tests.support.simulator import Workload
from tests.support.small_oplog import roll_past

pytestmark = ONE_DELIVERY
HISTORY_LOST, UNUSABLE = 80, 83
#: Small enough to leave out earlier messages, large enough for the clock of this machine.
MARGIN = 1.0
LAST = Workload(jobs=1, rate=None)
JOBS, TRANSITIONS = 20_000, 2


@pytest.fixture
def scenario(make_scenario: MakeScenario, forgetful: MongoDeployment) -> FaultScenario:
    return make_scenario(forgetful)


def stopped_and_forgotten(scenario: FaultScenario, **settings: str) -> BridgeProcess:
    """A stopped bridge, later jobs, and an oplog that has forgotten both.

    Of the delivered jobs only the last is within the margin.
    """
    bridge = scenario.bridge(recovery__margin_seconds=str(MARGIN), **settings).start().wait_ready()
    scenario.run_jobs(FORTY_JOBS)
    time.sleep(2 * MARGIN)
    scenario.run_jobs(LAST)
    scenario.wait_for_arrival()
    assert bridge.stop() == 0
    time.sleep(2 * MARGIN)
    scenario.run_jobs(FORTY_JOBS)
    without_update_time(scenario)
    scenario.witness.catch_up()
    roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])
    return bridge


def without_update_time(scenario: FaultScenario) -> None:
    """Give three of the latest jobs no usable update time."""
    with MongoClient[Any](scenario.mongo.uri) as client:
        jobs = client[scenario.database].jobs
        latest = jobs.find().sort("_update_time", -1).limit(3)
        changes: list[dict[str, Any]] = [
            {"$unset": {"_update_time": 1}},
            {"$set": {"_update_time": None}},
            {"$set": {"_update_time": "now"}},
        ]
        for job, change in zip(latest, changes, strict=True):
            assert jobs.update_one({"_id": job["_id"]}, change).modified_count == 1


def test_a_gap_is_recovered_without_loss_or_repetition(
    scenario: FaultScenario,
) -> None:
    bridge = stopped_and_forgotten(scenario)
    bridge.start()
    with scenario.load() as load:  # jobs continue while the gap is read
        load.await_commits(200)

    verdict = scenario.finish(bridge)
    assert bridge.has_logged("The oplog no longer reaches back to the checkpoint")
    assert bridge.has_logged("Nothing is skipped")
    assert scenario.origins()["recovery"] >= 2 * 40
    verdict.check(repeated_at_most=0, at_least=2 * 80)
    assert scenario.checkpoint()["gap"] is None


def test_it_stops_if_configured_and_names_the_command(scenario: FaultScenario) -> None:
    bridge = stopped_and_forgotten(scenario, recovery__on_history_lost="stop")
    position, arrived = scenario.checkpoint()["cluster_time"], scenario.arrived()

    assert bridge.start().wait() == HISTORY_LOST

    assert scenario.checkpoint()["cluster_time"] == position
    assert scenario.arrived() == arrived
    line = next(
        line["message"] for line in bridge.all_lines() if line.get("exit_code") == HISTORY_LOST
    )
    assert "'job-bridge run --recovery-on-history-lost recover'" in line
    bridge.configure(recovery__on_history_lost="recover")
    bridge.start()
    scenario.finish(bridge).check(repeated_at_most=0, at_least=2 * 40)


def test_a_killed_recovery_resumes_at_its_cursor(scenario: FaultScenario) -> None:
    bridge = (
        scenario.bridge(
            recovery__margin_seconds=str(MARGIN),
            delivery__window_messages="200",
            checkpoint__interval_seconds="0.05",
        )
        .start()
        .wait_ready()
    )
    scenario.run_jobs(FORTY_JOBS)
    scenario.wait_for_arrival()
    assert bridge.stop() == 0
    for number in range(30):  # jobs of one load have one update time
        load(scenario.mongo.uri, scenario.database, 500, 3, recovered=number % 2 == 0)
    roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])
    kills = 0
    while kills < 3:
        bridge.start()
        # A recovery is under way, and has stored how far it came since the last kill.
        before = ("", None, scenario.checkpoint().get("place"))

        def advanced(before: tuple[object, ...] = before) -> bool:
            return scenario.checkpoint().get("place") not in before

        poll(advanced, "progress", 120)
        assert scenario.checkpoint()["gap"] is not None
        bridge.kill()
        kills += 1
    at_last_kill = scenario.checkpoint()["place"]
    bridge.start()
    poll(lambda: scenario.checkpoint()["gap"] is None, "the end of the recovery", 120)
    assert bridge.wait_ready().stop() == 0

    arrived = Counter(
        json.loads(record.value or b"")["trans_id"]
        for record in scenario.kafka.read(scenario.topic)
    )
    with MongoClient[Any](scenario.mongo.uri) as client:
        committed = [
            element["trans_id"]
            for job in client[scenario.database].jobs.find()
            for element in elements(job)
        ]
    assert set(committed) == set(arrived)
    repeated = sum(arrived.values()) - len(arrived)
    assert repeated == 0, f"{repeated} of {len(committed)} repeated after {kills} kills"
    assert at_last_kill > "t"


def test_the_status_tells_how_far_a_recovery_is(scenario: FaultScenario, kafka: Kafka) -> None:
    bridge = scenario.bridge(delivery__window_messages="200").start().wait_ready()
    scenario.run_jobs(FORTY_JOBS)
    scenario.wait_for_arrival()
    assert bridge.stop() == 0
    load(scenario.mongo.uri, scenario.database, 4_000, 3)
    roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])
    with scenario.kafka_paused():
        bridge.start()
    bridge.wait_unready("recovering from the jobs' history: ")
    recovery = bridge.status()["recovery"]
    assert recovery["jobs_total"] >= 4_000 and recovery["jobs_done"] <= recovery["jobs_total"]
    assert bridge.metric("job_bridge_recovery_jobs") == recovery["jobs_total"]
    assert bridge.metric("job_bridge_state", state="recovering") == 1

    bridge.wait_ready()

    assert bridge.status()["recovery"] is None
    assert bridge.metric("job_bridge_history_lost_total") == 1
    assert bridge.metric("job_bridge_transitions_recovered_total") >= 3 * 4_000


def test_a_collection_restored_from_a_backup_is_recognised(scenario: FaultScenario) -> None:
    bridge = scenario.bridge().start().wait_ready()
    with MongoClient[Any](scenario.mongo.uri) as client:
        jobs = client[scenario.database].jobs
        scenario.run_jobs(FORTY_JOBS)
        backup = list(jobs.find())
        time.sleep(1.1)
        scenario.run_jobs(FORTY_JOBS)
        scenario.wait_for_arrival()
        assert bridge.stop() == 0
        assert scenario.checkpoint()["delivered"]
        jobs.delete_many({})
        jobs.insert_many(backup)

    assert bridge.start().wait() == UNUSABLE

    line = next(line["message"] for line in bridge.all_lines() if line.get("exit_code") == UNUSABLE)
    assert "restored from a backup" in line
    assert (
        "'job-bridge token set now'" in line
        and "'job-bridge token clear'" in line
        and "--start-from history" in line
    )
