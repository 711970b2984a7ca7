"""From at-least-once to exactly-once and back: nothing lost, repeated or out of order."""

from __future__ import annotations

from typing import Any

from tests.support.bridge_process import BridgeProcess
from tests.support.command import run_command
from tests.support.delivery_case import (
    AT_LEAST_ONCE_LIBRDKAFKA,
    EXACTLY_ONCE,
    ONE_DELIVERY,
    DeliveryCase,
)
from tests.support.fault_scenario import FaultScenario
from tests.support.job_writer import GOOD
from tests.support.read_back import NEVER, kill, topic_contents, wait_for_all
from tests.support.state_topic import create_state_topic


def settings_of(case: DeliveryCase) -> dict[str, Any]:
    """The settings of a case, by names as :meth:`FaultScenario.bridge` expects them."""
    stored = {"checkpoint.store": case.store}
    return {name.replace(".", "__"): value for name, value in {**stored, **case.settings()}.items()}


def start_with(bridge: BridgeProcess, case: DeliveryCase) -> None:
    bridge.configure(**settings_of(case))
    bridge.start().wait_ready()


def move(scenario: FaultScenario, source: DeliveryCase, target: DeliveryCase) -> None:
    """Move the stored position to the store of the other mode, as an operator does."""
    given = {**scenario.settings(), "checkpoint.store": source.store, "kafka.driver": "librdkafka"}
    ended = run_command("token", "move", target.store, settings=given)
    assert ended.code == 0, ended.err


def leave_messages(scenario: FaultScenario, bridge: BridgeProcess, acked: int) -> None:
    """Kill it with messages in the topic that its stored position may not cover."""
    for _ in range(5):
        scenario.jobs().add_good()
    bridge.wait_acked(acked)
    kill(bridge)


@ONE_DELIVERY
def test_killed_bridges_change_the_mode_exactly(scenario: FaultScenario) -> None:
    """Each is killed; of the first the topic has messages after the stored position."""
    create_state_topic(scenario.kafka, scenario.topic)
    bridge = scenario.bridge().start().wait_ready()
    scenario.jobs().add_good()
    bridge.wait_acked(len(GOOD))
    assert bridge.stop() == 0
    bridge.configure(checkpoint__interval_seconds=NEVER)
    bridge.start().wait_ready()
    leave_messages(scenario, bridge, 5 * len(GOOD))

    move(scenario, AT_LEAST_ONCE_LIBRDKAFKA, EXACTLY_ONCE)
    start_with(bridge, EXACTLY_ONCE)
    leave_messages(scenario, bridge, len(GOOD))
    start_with(bridge, EXACTLY_ONCE)
    leave_messages(scenario, bridge, len(GOOD))

    move(scenario, EXACTLY_ONCE, AT_LEAST_ONCE_LIBRDKAFKA)
    start_with(bridge, AT_LEAST_ONCE_LIBRDKAFKA)
    scenario.jobs().add_good()
    wait_for_all(scenario)
    assert bridge.stop() == 0

    topic_contents(scenario, "read_committed").check(at_least=17 * len(GOOD))
