"""A collection that takes long to look through, as one without an index does: the bridge stays the owner of its checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.demo.servers.mongod import Mongod
from bridge.demo.servers.process import poll
from tests.e2e.faults.conftest import MakeBench
from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_cases import ONE_WAY
from tests.support.fault_scenario import Bench
from tests.support.simulator import Workload
from tests.support.small_job_service import Service, states

pytestmark = ONE_WAY
SOME = Workload(jobs=10, rate=None)
LEASE = {"CHECKPOINT_LEASE_SECONDS": "3", "START_FROM": "history"}
SWEEP = {
    "DELIVERY_MODE": "background-jobs",
    "SWEEP_JOB_TAG": "to_notify",
    "SWEEP_EVERY_SECONDS": "1",
}
SLOW_SECONDS = 6.0


@pytest.fixture
def bench(make_bench: MakeBench, tmp_path: Path) -> Iterator[Bench]:
    with Mongod(
        tmp_path / "mongod", arguments=("--setParameter", "enableTestCommands=1")
    ) as server:
        yield make_bench(server)


@contextmanager
def one_slow_query(bench: Bench) -> Iterator[None]:
    """The bridge's next query of the jobs is answered late; fails when there was none."""
    data = {
        "failCommands": ["find"],
        "namespace": f"{bench.database}.jobs",
        "appName": "job-bridge",
        "blockConnection": True,
        "blockTimeMS": int(SLOW_SECONDS * 1000),
    }
    with bench.mongo.client(0) as client:
        client.admin.command(
            {"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": data}
        )
        began = time.monotonic()
        yield
        assert (
            client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})["count"] == 1
        )
        assert time.monotonic() - began > SLOW_SECONDS, "it was not waited for"


def is_asked(bench: Bench) -> bool:
    """Whether a query of the jobs by the bridge is under way."""
    with bench.mongo.client(0) as client:
        found = client.admin.command(
            {"currentOp": 1, "appName": "job-bridge", "command.find": "jobs", "active": True}
        )
    return bool(found["inprog"])


def starts_beside_another(bench: Bench, bridge: BridgeProcess) -> None:
    """It gets ready, although another one waits for it to be silent."""
    bridge.start()
    poll(lambda: (bench.stored().get("owner") or {}).get("pid") == bridge.pid, "the owner")
    epoch = bench.stored()["epoch"]
    other = bench.bridge(**LEASE).start().wait_unready("standby: ")
    bridge.wait_ready()
    assert bench.stored()["epoch"] == epoch, "the other one took over"
    assert other.terminate() == 0


def test_a_history_that_is_slow_to_read_costs_no_ownership(bench: Bench) -> None:
    with bench.load(SOME) as load:
        load.join()
    bridge = bench.bridge(**LEASE)

    with one_slow_query(bench):
        starts_beside_another(bench, bridge)

    bench.finish(bridge).check(repeated_at_most=0, at_least=20)


def test_nor_does_a_slow_look_whether_the_collection_was_restored(bench: Bench) -> None:
    bridge = bench.bridge(**LEASE).start().wait_ready()
    with bench.load(SOME) as load:
        load.join()
    bench.await_arrival()
    assert bridge.terminate() == 0
    assert bench.stored()["delivered"], "nothing to look for"

    with one_slow_query(bench):
        starts_beside_another(bench, bridge)

    bench.finish(bridge).check(repeated_at_most=0, at_least=20)


def test_a_sweep_that_is_slow_holds_no_event_back(bench: Bench) -> None:
    """As one without an index is, on a large collection."""
    jobs = Service(bench, tag="to_notify")
    bridge = bench.bridge(**SWEEP).start().wait_ready()
    with one_slow_query(bench):
        poll(lambda: is_asked(bench), "a sweep")
        seen = jobs.begin()
        poll(lambda: states(bench, seen) == ["created"], "what the stream tells")
        assert is_asked(bench), "the sweep was over by then"
        poll(lambda: not is_asked(bench), "the end of the sweep")

    assert bridge.terminate() == 0


def test_a_stop_does_not_wait_for_a_slow_sweep(bench: Bench) -> None:
    bridge = bench.bridge(**SWEEP).start().wait_ready()
    with one_slow_query(bench):
        poll(lambda: is_asked(bench), "a sweep")
        assert bridge.terminate() == 0
        assert is_asked(bench), "the sweep was over by then"
        poll(lambda: not is_asked(bench), "the end of the sweep")
