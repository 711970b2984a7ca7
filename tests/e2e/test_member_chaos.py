"""Three members under random faults and a restart of the group's coordinator."""

from __future__ import annotations

import pytest

from tests.soak.verdict import judge_lane
from tests.support.delivery_case import AT_LEAST_ONCE_IN_KAFKA, EXACTLY_ONCE, delivery_cases
from tests.support.fault_scenario import FaultScenario
from tests.support.long_faults import CHAOS_SECONDS, LONG
from tests.support.member_chaos import MemberChaos
from tests.support.simulator import Workload
from tests.support.topic_contents import stored_messages
from tests.support.visible_run import VisibleRun

pytestmark = pytest.mark.timeout(300 + 3 * CHAOS_SECONDS)
STEADY = Workload(rate=60, concurrency=16, error_share=0.4, writes="both")


def shake(scenario: FaultScenario, *, frozen: bool) -> MemberChaos:
    """Faults of members, the coordinator's restart, and faults again."""
    chaos = MemberChaos(scenario, frozen=frozen)
    with scenario.load(STEADY) as load:
        chaos.run(CHAOS_SECONDS / 2)
        with scenario.kafka_down():
            chaos.tend()
        chaos.run(CHAOS_SECONDS / 2)
        load.await_commits(50)
    return chaos


@delivery_cases(EXACTLY_ONCE)
def test_members_in_chaos_show_everything_once(scenario: FaultScenario) -> None:
    with VisibleRun(scenario) as visible:
        chaos = shake(scenario, frozen=True)

        visible.finish(chaos.leave_one(), at_least=200)


@LONG
@delivery_cases(AT_LEAST_ONCE_IN_KAFKA)
def test_members_in_chaos_repeat_only_the_wire(scenario: FaultScenario) -> None:
    """A message may come twice if its first copy was appended after the read-back."""
    chaos = shake(scenario, frozen=False)
    owner = chaos.leave_one()
    scenario.wait_for_arrival()
    assert owner.stop() == 0

    verdict = judge_lane(
        stored_messages(scenario.mongo.uri, scenario.database),
        scenario.kafka.read(scenario.topic),
        chaos.members,
    )

    assert not (verdict.lost or verdict.reordered or verdict.repeated), verdict
