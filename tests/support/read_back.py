"""Crashes after messages that the stored position does not cover, and what a restart leaves out."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

from bridge.demo.servers.process import poll
from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_case import FIRE_AND_FORGET, SYNCHRONOUS
from tests.support.fault_scenario import FaultScenario
from tests.support.job_writer import GOOD
from tests.support.topic_contents import Contents, compare, stored_messages

LEFT_OUT = "job_bridge_read_back_left_out_total"
#: Longer than any test: the position is stored at a start and at a clean stop only.
NEVER = "36000"
ARRIVAL_SECONDS = 120.0


@dataclass(slots=True)
class LeftOut:
    """Sums the messages that the lives of bridges have left out; note a life before its end."""

    total: float = 0.0
    lives: list[float] = field(default_factory=list)

    def note(self, bridge: BridgeProcess) -> None:
        """Add the count of the running life."""
        self.lives.append(bridge.metric(LEFT_OUT))
        self.total += self.lives[-1]


def kill(bridge: BridgeProcess, left_out: LeftOut | None = None) -> None:
    """SIGKILL; ``left_out`` notes the life first."""
    if left_out is not None:
        left_out.note(bridge)
    assert bridge.kill() == -signal.SIGKILL


def crash(scenario: FaultScenario, **settings: str) -> BridgeProcess:
    """A killed bridge: the topic has three messages that the stored position does not cover.

    The position is that of a clean stop after three other messages.
    """
    bridge = scenario.bridge(**settings).start().wait_ready()
    scenario.jobs().add_good()
    bridge.wait_acked(len(GOOD))
    assert bridge.stop() == 0
    bridge.configure(checkpoint__interval_seconds=NEVER)
    bridge.start().wait_ready()
    scenario.jobs().add_good()
    bridge.wait_acked(len(GOOD))
    kill(bridge)
    return bridge


def topic_contents(scenario: FaultScenario, isolation: str = "") -> Contents:
    """Compare the jobs with the topic at this moment."""
    isolation = isolation or scenario.delivery.isolation
    records = scenario.kafka.read(scenario.topic, isolation=isolation)
    return compare(stored_messages(scenario.mongo.uri, scenario.database), records)


def wait_for_all(scenario: FaultScenario, seconds: float = ARRIVAL_SECONDS) -> None:
    """Wait until the topic has every transition; the messages of others may be there too."""
    poll(lambda: not topic_contents(scenario).lost, "every transition in the topic", seconds)


def stop_and_judge(scenario: FaultScenario, bridge: BridgeProcess, left_out: LeftOut) -> None:
    """Stop, and check that nothing is repeated, reordered or, where the mode promises it, lost."""
    if scenario.delivery != FIRE_AND_FORGET:
        wait_for_all(scenario)
    left_out.note(bridge)
    assert bridge.stop() == 0

    found = topic_contents(scenario)

    assert found.repeated == 0 and not found.reordered
    assert scenario.delivery == FIRE_AND_FORGET or not found.lost
    # At most a single message is in flight in the synchronous mode.
    assert scenario.delivery == SYNCHRONOUS or left_out.total > 0


def settle(scenario: FaultScenario, bridge: BridgeProcess, left_out: LeftOut) -> Contents:
    """Wait for every transition and for one more, note what was left out, and stop.

    The last job proves that the bridge has passed everything before it.
    """
    bridge.wait_ready()
    scenario.jobs().add_good()
    wait_for_all(scenario)
    left_out.note(bridge)
    assert bridge.stop() == 0, bridge.log_tail()
    return topic_contents(scenario)


def pass_by(scenario: FaultScenario, bridge: BridgeProcess, left_out: LeftOut) -> None:
    """Wait for a last job, note what was left out, and stop.

    For topics that no longer have everything that was delivered.
    """
    bridge.wait_ready()
    last = scenario.jobs().add_good()
    poll(
        lambda: scenario.published_states(last)[-1:] == [GOOD[-1]], "the last job", ARRIVAL_SECONDS
    )
    left_out.note(bridge)
    assert bridge.stop() == 0, bridge.log_tail()
