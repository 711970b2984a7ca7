"""SIGKILL at each named point of the loop."""

from __future__ import annotations

import random
import signal

import pytest

from tests.support.delivery_case import (
    MONGO_POSITION_CASES,
    POSITION_CASES,
    TAGS,
    delivery_cases,
)
from tests.support.fault_scenario import FaultScenario
from tests.support.kill_points import command

#: Enough for twenty kills on a busy machine.
pytestmark = pytest.mark.timeout(900)
#: At which call the process dies; of the saves the first would leave no progress to lose.
FATAL_CALLS = {
    "before-send": (1, 300),
    "after-ack": (1, 300),
    "before-save": (2, 3),
    "after-save": (1, 3),
    "before-untag": (1, 100),
    "after-untag": (1, 100),
}
#: Transitions that a run needs, however early its processes died.
AT_LEAST = 100
OF_TAGS = ("before-untag", "after-untag")


@pytest.mark.parametrize(
    ("point", "delivery_case"),
    [
        *((point, case) for point in ("before-send", "after-ack") for case in POSITION_CASES),
        # The driver plays no part in a save.
        *(
            (point, case)
            for point in ("before-save", "after-save")
            for case in MONGO_POSITION_CASES[1:]
        ),
    ],
    indirect=["delivery_case"],
    ids=str,
)
def test_nothing_is_lost_when_it_is_killed(scenario: FaultScenario, kills: int, point: str) -> None:
    bridge = scenario.bridge().start().wait_ready()
    assert bridge.stop() == 0
    with scenario.load() as load:
        for _ in range(kills):
            bridge.start(command(point, random.randint(*FATAL_CALLS[point])))
            assert bridge.wait() == -signal.SIGKILL
        load.await_commits(AT_LEAST)
    bridge.start()

    scenario.finish(bridge).check(repeated_at_most=0, at_least=AT_LEAST, saves_at_least=2)


@delivery_cases(TAGS)
@pytest.mark.parametrize("point", ["before-send", "after-ack", *OF_TAGS])
def test_nothing_is_lost_when_killed_with_tags(
    scenario: FaultScenario, kills: int, point: str
) -> None:
    bridge = scenario.bridge()
    with scenario.load() as load:
        for _ in range(kills):
            bridge.start(command(point, random.randint(*FATAL_CALLS[point])))
            assert bridge.wait() == -signal.SIGKILL
        load.await_commits(AT_LEAST)
    bridge.start().wait_ready()

    verdict = scenario.finish(bridge)

    verdict.check(repeated_at_most=verdict.replay(bridge.deaths), at_least=AT_LEAST)
