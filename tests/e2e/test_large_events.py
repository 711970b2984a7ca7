"""Change events above MongoDB's limit of 16 MB, which a plain change stream cannot pass."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from bridge.demo.servers.process import poll
from tests.support.bridge_process import BridgeProcess
from tests.support.delivery_case import ONE_DELIVERY
from tests.support.fault_scenario import FaultScenario

pytestmark = ONE_DELIVERY
POISON, TOO_LARGE = 82, 10334
#: A change event contains the path of each changed element: a long name makes it oversized.
OUTPUTS = "outputs_of_the_job_" + "x" * 90
MANY, TRANSITIONS = 150_000, 150_000

Jobs = Any


def finished(jobs: Jobs, job_id: str) -> None:
    """One update of a huge array beside the state."""
    outputs = {
        "$map": {
            "input": f"${OUTPUTS}",
            "as": "e",
            "in": {"$mergeObjects": ["$$e", {"a": {"$add": ["$$e.a", 1]}}]},
        }
    }
    jobs.update_one({"id": job_id}, [{"$set": {OUTPUTS: outputs, **complete()}}])


def complete() -> dict[str, Any]:
    element = {
        "state": "complete",
        "time": datetime.now(timezone.utc),
        "trans_id": f"t-{uuid.uuid4()}",
        "notif_sent": False,
    }
    return {
        "state": "complete",
        "_update_time": element["time"],
        "transition_times": {"$concatArrays": ["$transition_times", [element]]},
    }


def plain_stream_fails(client: Any, database: str, since: Any) -> bool:
    """Whether a plain change stream fails on the events, as the test requires."""
    try:
        with client[database].jobs.watch(
            start_at_operation_time=since, max_await_time_ms=500
        ) as stream:
            for _ in range(20):
                stream.try_next()
    except OperationFailure as error:
        return error.code == TOO_LARGE
    return False


def test_a_huge_array_does_no_harm(scenario: FaultScenario) -> None:
    bridge = scenario.bridge().start().wait_ready()
    service = scenario.jobs()
    with MongoClient[Any](scenario.mongo.uri, w="majority") as client:
        jobs, job_id = client[scenario.database].jobs, service.insert()
        jobs.update_one(
            {"id": job_id}, {"$set": {OUTPUTS: [{"a": 0, "pad": "y" * 40} for _ in range(MANY)]}}
        )
        since = client.admin.command("ping")["operationTime"]
        finished(jobs, job_id)
        after = service.insert()
        assert plain_stream_fails(client, scenario.database, since)
    poll(lambda: scenario.published_states(after) == ["created"], "what came after it")

    assert scenario.published_states(job_id) == ["created", "complete"]
    assert bridge.restarts() == {} and bridge.metric("job_bridge_history_lost_total") == 0
    assert bridge.stop() == 0


@pytest.fixture
def rewritten(scenario: FaultScenario) -> tuple[BridgeProcess, str, str]:
    """A running bridge, a huge job whose transitions one update rewrites, and a later job."""
    bridge = scenario.bridge(recovery__margin_seconds="5")
    service, long_ago = scenario.jobs(), datetime.now(timezone.utc) - timedelta(hours=1)
    with MongoClient[Any](scenario.mongo.uri, w="majority") as client:
        jobs, job_id = client[scenario.database].jobs, service.insert()
        jobs.create_index("_update_time")
        history = [
            {"state": "s", "time": long_ago, "trans_id": "t", "pad": "y" * 20}
            for _ in range(TRANSITIONS)
        ]
        jobs.update_one(
            {"id": job_id}, {"$set": {"transition_times": history, "_update_time": long_ago}}
        )
        bridge.start().wait_ready()
        other = {
            "$map": {
                "input": "$transition_times",
                "as": "e",
                "in": {"$mergeObjects": ["$$e", {"state": "b", "trans_id": "u"}]},
            }
        }
        jobs.update_one(
            {"id": job_id}, [{"$set": {"transition_times": other}}, {"$set": complete()}]
        )
    return bridge, job_id, service.insert()


def test_an_oversized_event_is_recovered_from_history(
    scenario: FaultScenario, rewritten: tuple[BridgeProcess, str, str]
) -> None:
    bridge, job_id, after = rewritten

    poll(lambda: scenario.published_states(after) == ["created"], "what came after it", 120)
    poll(lambda: scenario.published_states(job_id)[-1:] == ["complete"], "the job's completion", 60)

    bridge.wait_ready()
    assert bridge.metric("job_bridge_history_lost_total") == 1
    assert bridge.has_logged("An event is too large for MongoDB to deliver")
    # The stream resumes after it.
    last = scenario.jobs().insert()
    poll(lambda: scenario.published_states(last) == ["created"], "the stream")
    assert bridge.stop() == 0
    bridge.start().wait_ready()
    assert bridge.metric("job_bridge_history_lost_total") == 0
    assert bridge.stop() == 0


def test_where_settings_say_stop_it_stops_there(
    scenario: FaultScenario, rewritten: tuple[BridgeProcess, str, str]
) -> None:
    bridge, job_id, _ = rewritten
    bridge.kill()
    bridge.configure(recovery__on_history_lost="stop")

    assert bridge.start().wait(120) == POISON

    assert "--recovery-on-history-lost recover'" in bridge.log_tail()
    with MongoClient[Any](scenario.mongo.uri) as client:
        document = client[scenario.database].jobs.find_one({"id": job_id}, {"_id": 1})
    assert document and f"(document _id {document['_id']})" in bridge.log_tail()
