"""``check`` beside an oplog that no longer reaches back: it ends as ``run`` would."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import MakeScenario
from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_case import ONE_DELIVERY
from tests.support.fault_scenario import FaultScenario
from tests.support.servers.mongo import MongoDeployment
from tests.support.simulator import Workload
from tests.support.small_oplog import roll_past

pytestmark = ONE_DELIVERY
CHECK = ("bridge", "check")
HISTORY_LOST, UNUSABLE = 80, 83
SOME = Workload(jobs=3, rate=None)


@pytest.fixture
def scenario(make_scenario: MakeScenario, forgetful: MongoDeployment) -> FaultScenario:
    return make_scenario(forgetful)


def check_ends_as_run_does(bridge: BridgeProcess) -> None:
    """Where the stream has forgotten the place, whatever is to be done about that."""
    assert bridge.start(CHECK).wait() == 0
    assert "the changes since then are published from the jobs' history first" in bridge.log_tail()

    bridge.configure(recovery__on_history_lost="stop")
    assert bridge.start(CHECK).wait() == HISTORY_LOST
    assert bridge.start().wait() == HISTORY_LOST


def test_a_checkpoint_the_oplog_has_forgotten(scenario: FaultScenario) -> None:
    bridge = scenario.bridge().start().wait_ready()
    with scenario.load(SOME) as load:
        load.join()
    scenario.wait_for_arrival()
    assert bridge.stop() == 0
    roll_past(scenario.mongo, scenario.checkpoint()["cluster_time"])

    check_ends_as_run_does(bridge)


def test_a_start_that_lies_before_the_oplog(scenario: FaultScenario) -> None:
    with scenario.load(SOME) as load:
        load.join()
    roll_past(
        scenario.mongo, [int(time.time()) + 1, 0]
    )  # the node itself was made within this second
    bridge = scenario.bridge(start__from="2020-01-01T00:00:00Z")

    check_ends_as_run_does(bridge)


def test_a_collection_restored_from_a_backup(scenario: FaultScenario) -> None:
    with scenario.load(SOME) as load:
        load.join()
    bridge = scenario.bridge().start().wait_ready()
    with scenario.load(SOME) as load:
        load.join()
    bridge.wait_acked(len(load.commits))  # the transitions before the first start are not sent
    assert bridge.stop() == 0
    with scenario.mongo.client(0) as client:
        jobs = client[scenario.database].jobs
        last = jobs.find_one({"id": scenario.checkpoint()["delivered"]["job_id"]})
        assert last is not None
        jobs.delete_many({"_update_time": {"$gte": last["_update_time"]}})
        assert jobs.count_documents({}), "nothing is left that is older"

    assert bridge.start(CHECK).wait() == UNUSABLE
    assert bridge.start().wait() == UNUSABLE
