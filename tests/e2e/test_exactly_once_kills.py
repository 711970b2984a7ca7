"""SIGKILL in exactly-once: a read_committed consumer sees every transition once, in order."""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.support.backlog import load as write_backlog
from tests.support.delivery_case import ONLY_EXACTLY_ONCE
from tests.support.fault_scenario import FaultScenario
from tests.support.kill_points import command
from tests.support.simulator import Workload
from tests.support.visible_run import VisibleRun

#: Enough for twenty kills at each point on a busy machine.
pytestmark = [ONLY_EXACTLY_ONCE, pytest.mark.timeout(1800)]
STEADY = Workload(rate=200, concurrency=32, error_share=0.4, writes="both")
#: Kills of a short run, and of the run for which ``FAULT_REPEATS`` asks.
FEW, MANY = 4, 50
#: At which call the process dies.
FATAL_CALLS = {
    "before-read-back": (1, 2),
    "after-read-back": (1, 1),
    "after-begin": (1, 40),
    "after-produce": (1, 200),
    "before-commit": (1, 40),
    "during-commit": (1, 40),
    "after-commit": (1, 40),
}
BACKLOG_JOBS, BACKLOG_TRANSITIONS = 800, 5


def test_kills_at_each_point_stay_invisible(scenario: FaultScenario, kills: int) -> None:
    """After each kill the stored position covers exactly the visible messages."""
    bridge = scenario.bridge().start().wait_ready()
    assert bridge.stop() == 0
    points = [point for point in FATAL_CALLS for _ in range(kills)]
    random.shuffle(points)
    with VisibleRun(scenario) as visible:
        with scenario.load() as load:
            for point in points:
                bridge.start(command(point, random.randint(*FATAL_CALLS[point])))
                assert bridge.wait() == -signal.SIGKILL, point
                visible.check_position()
            load.await_commits(100)
        bridge.start()

        visible.finish(bridge)


def test_kills_under_load_stay_invisible(scenario: FaultScenario, kills: int) -> None:
    bridge = scenario.bridge().start().wait_ready()
    with VisibleRun(scenario) as visible:
        with scenario.load(STEADY) as load:
            for _ in range(FEW if kills == 1 else MANY):
                load.await_commits(20)
                time.sleep(random.uniform(0.3, 1.3))  # the fault itself is one of chance
                assert bridge.kill() == -signal.SIGKILL
                bridge.start().wait_ready()
            load.await_commits(100)

        visible.finish(bridge, at_least=400)


def test_kills_in_a_backlog_stay_invisible(scenario: FaultScenario, kills: int) -> None:
    """Transactions are large, and many commits are still to be made when the process dies."""
    bridge = scenario.bridge().start().wait_ready()
    assert bridge.stop() == 0
    with VisibleRun(scenario) as visible:
        for _ in range(min(kills, 10)):
            write_backlog(scenario.mongo.uri, scenario.database, BACKLOG_JOBS, BACKLOG_TRANSITIONS)
            bridge.start().wait_acked(random.randint(1, BACKLOG_JOBS))
            assert bridge.kill() == -signal.SIGKILL
            visible.check_position()
        bridge.start()

        visible.finish(bridge, at_least=BACKLOG_JOBS * BACKLOG_TRANSITIONS)
