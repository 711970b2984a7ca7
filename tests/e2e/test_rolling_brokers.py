"""Three brokers that restart one after the other under exactly-once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.delivery_case import EXACTLY_ONCE
from tests.support.fault_scenario import FaultScenario, Setting
from tests.support.long_faults import LONG
from tests.support.servers.kafka import required
from tests.support.servers.mongo import MongoDeployment
from tests.support.servers.three_brokers import ThreeBrokers
from tests.support.simulator import Workload
from tests.support.state_topic import create_state_topic
from tests.support.visible_run import VisibleRun

pytestmark = [LONG, pytest.mark.timeout(1800)]
TOPIC = "rolling"
STEADY = Workload(rate=60, concurrency=16, error_share=0.4, writes="both")


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[ThreeBrokers]:
    required()
    with ThreeBrokers(tmp_path / "brokers") as server:
        server.create_topic(TOPIC, partitions=3, message_timestamp_type="LogAppendTime")
        server.create_topic(f"{TOPIC}-dlq", partitions=1)
        create_state_topic(server, TOPIC)
        yield server


@pytest.mark.parametrize("orderly", [True, False], ids=["stopped", "killed"])
def test_brokers_restarted_in_turn_cost_time(
    brokers: ThreeBrokers, mongo: MongoDeployment, database: str, tmp_path: Path, orderly: bool
) -> None:
    """Each broker leads partitions, and is coordinator of the group or of the transactions."""
    setting = Setting(mongo, brokers, database, TOPIC, tmp_path)
    with FaultScenario(setting, EXACTLY_ONCE) as scenario, VisibleRun(scenario) as visible:
        owner = scenario.bridge().start().wait_ready()
        with scenario.load(STEADY) as load:
            for index in range(len(brokers.nodes)):
                load.await_commits(50)
                brokers.restart(index, orderly=orderly)
            load.await_commits(50)
            owner.wait_ready()

        visible.finish(owner)
