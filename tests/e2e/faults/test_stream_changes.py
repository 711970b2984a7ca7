"""What happens to the stream's own ground: other fields, another collection, no history."""

from __future__ import annotations

from pymongo import MongoClient

from bridge.model.position import cluster_time_of
from tests.support.delivery_cases import WITH_POSITION
from tests.support.fault_scenario import Bench
from tests.support.simulator import Workload

pytestmark = WITH_POSITION
BATCH = Workload(jobs=40, rate=None)
#: The names of the profile ``cts``, but for one that is read and not needed: other stages on the server.
OTHER_FIELDS = {
    "JOBS_PROFILE": "custom",
    "JOBS_ID_FIELD": "id",
    "JOBS_STATE_FIELD": "image",
    "JOBS_TRANSITIONS_FIELD": "transition_times",
}


def test_other_fields_between_two_runs_lose_and_repeat_nothing(bench: Bench) -> None:
    bridge = bench.bridge().start().wait_ready()
    with bench.load() as load:
        load.await_commits(200)
        assert bridge.terminate() == 0
        before = bench.stored()["fingerprint"]
        stop_at_a_transition(bench)
        load.await_commits(100)
        bridge.configure(**OTHER_FIELDS)
        bridge.start().wait_ready()
        load.await_commits(100)

    verdict = bench.finish(bridge)

    assert bench.stored()["fingerprint"] != before
    verdict.check(repeated_at_most=0, at_least=400)


def test_a_collection_dropped_and_made_again_meanwhile_loses_nothing(bench: Bench) -> None:
    bridge = bench.bridge().start().wait_ready()
    assert bridge.terminate() == 0
    live(bench)
    with MongoClient[dict[str, object]](bench.mongo.uri) as client:
        client[bench.database].drop_collection("jobs")
    live(bench)
    bridge.start()

    verdict = bench.finish(bridge)

    assert bridge.said("the collection was dropped")
    verdict.check(repeated_at_most=0, at_least=2 * 40)


def test_a_collection_renamed_while_running_loses_nothing(bench: Bench) -> None:
    live(bench)
    bridge = bench.bridge(START_FROM="2020-01-01T00:00:00+00:00").start().wait_ready()
    live(bench)
    with MongoClient[dict[str, object]](bench.mongo.uri) as client:
        client[bench.database]["jobs"].rename("elsewhere")
    live(bench)

    verdict = bench.finish(bridge)

    assert bridge.said("the collection was renamed")
    verdict.check(repeated_at_most=0, at_least=2 * 40)


def stop_at_a_transition(bench: Bench) -> None:
    """Store what the bridge would have, had it stopped right after the last message: its time is then half read."""
    arrived = bench.arrived()
    last = max(each.token for each in bench.witness.transitions if each.trans_id in arrived)
    bench.change_stored({"token": last, "cluster_time": list(cluster_time_of(last))})


def live(bench: Bench) -> None:
    """Some jobs from beginning to end."""
    with bench.load(BATCH) as load:
        load.join()
