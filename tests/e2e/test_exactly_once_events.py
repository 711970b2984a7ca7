"""Events with several transitions in exactly-once: visible whole, or not at all."""

from __future__ import annotations

import signal

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_case import ONLY_EXACTLY_ONCE
from tests.support.fault_scenario import FaultScenario
from tests.support.job_writer import transition
from tests.support.kill_points import command
from tests.support.messages import dead_letters

pytestmark = ONLY_EXACTLY_ONCE
HUGE = "x" * 2_000_000
MIDDLE = ["submitted", HUGE, "complete"]


def add_at_once(scenario: FaultScenario, *states: str) -> str:
    """A job, and one event with all of ``states``; returns the id."""
    job_id = scenario.jobs().add()
    elements = [transition(state, minute) for minute, state in enumerate(states, 1)]
    scenario.jobs().update(
        job_id,
        {"$push": {"transition_times": {"$each": elements}}, "$set": {"state": states[-1]}},
    )
    return job_id


def test_a_poison_event_is_not_visible_in_part(scenario: FaultScenario) -> None:
    """The message in the middle is too large: the bridge ends, and resumes with the same event."""
    bridge = scenario.bridge(kafka__on_oversize="stop").start().wait_ready()
    job_id = add_at_once(scenario, *MIDDLE)
    assert bridge.wait_for_end().code == 82
    assert scenario.published_states(job_id) == ["created"]

    scenario.kafka.alter_topic(scenario.topic, max_message_bytes=4_000_000)
    bridge.start().wait_acked(len(MIDDLE))

    assert bridge.stop() == 0
    assert scenario.published_states(job_id) == ["created", *MIDDLE]


@pytest.mark.parametrize("point", ["before-commit", "after-commit"])
def test_a_dead_letter_is_visible_once(scenario: FaultScenario, point: str) -> None:
    """It is part of the transaction, at which the process dies."""
    bridge: BridgeProcess = scenario.bridge().start().wait_ready()
    assert bridge.stop() == 0
    job_id = add_at_once(scenario, *MIDDLE)
    bridge.start(command(point, 1))
    assert bridge.wait() == -signal.SIGKILL
    bridge.start().wait_ready()
    last = scenario.jobs().add_good()
    bridge.wait_for(lambda: len(scenario.published_states(last)) == 3, "the last job")

    assert bridge.stop() == 0
    assert scenario.published_states(job_id) == ["created", "submitted", "complete"]
    assert [letter["job_id"] for letter in dead_letters(scenario.kafka, scenario.topic)] == [job_id]
