"""Slow queries, as on a large collection without an index: the bridge keeps its ownership."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge.demo.servers.process import poll
from tests.e2e.conftest import MakeScenario, StartMongo
from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_case import ONE_DELIVERY
from tests.support.fault_scenario import FaultScenario
from tests.support.servers.mongo import FAIL_POINTS
from tests.support.simulator import Workload

pytestmark = ONE_DELIVERY
SOME = Workload(jobs=10, rate=None)
LEASE = {"checkpoint.lease_seconds": "3", "start.from": "history"}
SWEEP = {
    "delivery.mode": "background-jobs",
    "sweep.job_tag": "to_notify",
    "sweep.every_seconds": "1",
}
SLOW_SECONDS = 6.0


@pytest.fixture
def scenario(make_scenario: MakeScenario, start_mongo: StartMongo) -> FaultScenario:
    return make_scenario(start_mongo(arguments=FAIL_POINTS))


@contextmanager
def one_slow_query(scenario: FaultScenario) -> Iterator[None]:
    """Delay the answer to the bridge's next query of the jobs; fails without such a query."""
    data = {
        "failCommands": ["find"],
        "namespace": f"{scenario.database}.jobs",
        "appName": "job-bridge",
        "blockConnection": True,
        "blockTimeMS": int(SLOW_SECONDS * 1000),
    }
    with scenario.mongo.client(0) as client:
        client.admin.command(
            {"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": data}
        )
        began = time.monotonic()
        yield
        assert (
            client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})["count"] == 1
        )
        assert time.monotonic() - began > SLOW_SECONDS, "it was not waited for"


def is_asked(scenario: FaultScenario) -> bool:
    """Whether a query of the jobs by the bridge is under way."""
    with scenario.mongo.client(0) as client:
        operations = client.admin.command(
            {"currentOp": 1, "appName": "job-bridge", "command.find": "jobs", "active": True}
        )
    return bool(operations["inprog"])


def starts_beside_another(scenario: FaultScenario, bridge: BridgeProcess) -> None:
    """It gets ready, although another one waits for it to be silent."""
    bridge.start()
    poll(lambda: (scenario.checkpoint().get("owner") or {}).get("pid") == bridge.pid, "the owner")
    epoch = scenario.checkpoint()["epoch"]
    other = scenario.bridge(**LEASE).start().wait_unready("standby: ")
    bridge.wait_ready()
    assert scenario.checkpoint()["epoch"] == epoch, "the other one took over"
    assert other.stop() == 0


def test_a_slow_read_of_history_keeps_the_ownership(scenario: FaultScenario) -> None:
    with scenario.load(SOME) as load:
        load.join()
    bridge = scenario.bridge(**LEASE)

    with one_slow_query(scenario):
        starts_beside_another(scenario, bridge)

    scenario.finish(bridge).check(repeated_at_most=0, at_least=20)


def test_a_slow_restore_check_keeps_the_ownership(scenario: FaultScenario) -> None:
    bridge = scenario.bridge(**LEASE).start().wait_ready()
    with scenario.load(SOME) as load:
        load.join()
    scenario.wait_for_arrival()
    assert bridge.stop() == 0
    assert scenario.checkpoint()["delivered"], "nothing to look for"

    with one_slow_query(scenario):
        starts_beside_another(scenario, bridge)

    scenario.finish(bridge).check(repeated_at_most=0, at_least=20)


def test_a_slow_sweep_delays_no_event(scenario: FaultScenario) -> None:
    """As one without an index is, on a large collection."""
    jobs = scenario.jobs("to_notify")
    bridge = scenario.bridge(**SWEEP).start().wait_ready()
    with one_slow_query(scenario):
        poll(lambda: is_asked(scenario), "a sweep")
        job_id = jobs.insert()
        poll(lambda: scenario.published_states(job_id) == ["created"], "the event of the stream")
        assert is_asked(scenario), "the sweep was over by then"
        poll(lambda: not is_asked(scenario), "the end of the sweep")

    assert bridge.stop() == 0


def test_a_stop_skips_a_slow_sweep(scenario: FaultScenario) -> None:
    bridge = scenario.bridge(**SWEEP).start().wait_ready()
    with one_slow_query(scenario):
        poll(lambda: is_asked(scenario), "a sweep")
        assert bridge.stop() == 0
        assert is_asked(scenario), "the sweep was over by then"
        poll(lambda: not is_asked(scenario), "the end of the sweep")
