"""``check`` beside an oplog that no longer reaches back: it ends as ``run`` would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.faults.conftest import MakeBench
from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_cases import ONE_WAY
from tests.support.fault_scenario import Bench
from tests.support.simulator import Workload
from tests.support.small_oplog import forgetful_node, roll_past

pytestmark = ONE_WAY
CHECK = ("bridge", "check")
HISTORY_LOST, UNUSABLE = 80, 83
SOME = Workload(jobs=3, rate=None)


@pytest.fixture
def bench(make_bench: MakeBench, tmp_path: Path) -> Iterator[Bench]:
    with forgetful_node(tmp_path / "mongod") as server:
        yield make_bench(server)


def check_ends_as_run_does(bridge: BridgeProcess) -> None:
    """Where the stream has forgotten the place, whatever is to be done about that."""
    assert bridge.start(CHECK).wait() == 0
    assert "the changes since then are published from the jobs' history first" in bridge.log_tail()

    bridge.configure(RECOVERY_ON_HISTORY_LOST="stop")
    assert bridge.start(CHECK).wait() == HISTORY_LOST
    assert bridge.start().wait() == HISTORY_LOST


def test_a_checkpoint_the_oplog_has_forgotten(bench: Bench) -> None:
    bridge = bench.bridge().start().wait_ready()
    with bench.load(SOME) as load:
        load.join()
    bench.await_arrival()
    assert bridge.terminate() == 0
    roll_past(bench.mongo, bench.stored()["cluster_time"])

    check_ends_as_run_does(bridge)


def test_a_start_that_lies_before_the_oplog(bench: Bench) -> None:
    with bench.load(SOME) as load:
        load.join()
    roll_past(bench.mongo, [int(time.time()) + 1, 0])  # the node itself was made within this second
    bridge = bench.bridge(START_FROM="2020-01-01T00:00:00Z")

    check_ends_as_run_does(bridge)


def test_a_collection_restored_from_a_backup(bench: Bench) -> None:
    with bench.load(SOME) as load:
        load.join()
    bridge = bench.bridge().start().wait_ready()
    with bench.load(SOME) as load:
        load.join()
    bench.await_arrival()
    assert bridge.terminate() == 0
    with bench.mongo.client(0) as client:
        jobs = client[bench.database].jobs
        last = jobs.find_one({"id": bench.stored()["delivered"]["job_id"]})
        assert last is not None
        jobs.delete_many({"_update_time": {"$gte": last["_update_time"]}})
        assert jobs.count_documents({}), "nothing is left that is older"

    assert bridge.start(CHECK).wait() == UNUSABLE
    assert bridge.start().wait() == UNUSABLE
