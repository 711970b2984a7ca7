"""Changes under the stream: other fields, a dropped or a renamed collection."""

from __future__ import annotations

from pymongo import MongoClient

from bridge.model.position import cluster_time_of
from tests.support.delivery_case import EVERY_POSITION
from tests.support.fault_scenario import FaultScenario
from tests.support.simulator import Workload

pytestmark = EVERY_POSITION
BATCH = Workload(jobs=40, rate=None)
#: The profile ``cts`` with another state field, so that the stages on the server differ.
OTHER_FIELDS = {
    "jobs.profile": "custom",
    "jobs.id_field": "id",
    "jobs.state_field": "image",
    "jobs.transitions_field": "transition_times",
}


def test_changed_fields_lose_and_repeat_nothing(scenario: FaultScenario) -> None:
    bridge = scenario.bridge().start().wait_ready()
    with scenario.load() as load:
        load.await_commits(200)
        assert bridge.stop() == 0
        before = scenario.checkpoint()["fingerprint"]
        stop_at_a_transition(scenario)
        load.await_commits(100)
        bridge.configure(**OTHER_FIELDS)
        bridge.start().wait_ready()
        load.await_commits(100)

    verdict = scenario.finish(bridge)

    assert scenario.checkpoint()["fingerprint"] != before
    verdict.check(repeated_at_most=0, at_least=400)


def test_a_collection_recreated_during_downtime_loses_nothing(
    scenario: FaultScenario,
) -> None:
    """Ten times; the end of a stream is no failure, after which the bridge would wait."""
    bridge = scenario.bridge().start().wait_ready()
    assert bridge.stop() == 0
    with MongoClient[dict[str, object]](scenario.mongo.uri) as client:
        for _ in range(9):
            client[scenario.database].create_collection("jobs")
            client[scenario.database].drop_collection("jobs")
        live(scenario)
        client[scenario.database].drop_collection("jobs")
    live(scenario)
    bridge.start()
    scenario.wait_for_arrival()
    assert not bridge.restarts()

    verdict = scenario.finish(bridge)

    assert bridge.has_logged("the collection was dropped")
    verdict.check(repeated_at_most=0, at_least=2 * 40)


def test_a_collection_renamed_while_running_loses_nothing(scenario: FaultScenario) -> None:
    live(scenario)
    bridge = scenario.bridge(start__from="2020-01-01T00:00:00+00:00").start().wait_ready()
    live(scenario)
    with MongoClient[dict[str, object]](scenario.mongo.uri) as client:
        client[scenario.database]["jobs"].rename("elsewhere")
    live(scenario)

    verdict = scenario.finish(bridge)

    assert bridge.has_logged("the collection was renamed")
    verdict.check(repeated_at_most=0, at_least=2 * 40)


def stop_at_a_transition(scenario: FaultScenario) -> None:
    """Store the position right after the last message, as if the bridge had stopped there."""
    arrived = scenario.arrived()
    last = max(
        transition.token
        for transition in scenario.witness.transitions
        if transition.trans_id in arrived
    )
    scenario.change_checkpoint({"token": last, "cluster_time": list(cluster_time_of(last))})


def live(scenario: FaultScenario) -> None:
    """Some jobs from beginning to end."""
    with scenario.load(BATCH) as load:
        load.join()
