"""Every line of the design's table of pros and cons, one test each, on a real MongoDB and a real Kafka.

The design of the CDM Task Service's notifications weighs four ways: fire and forget, synchronous, a
background processor with a tag per job, and one with a tag per transition.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pymongo import MongoClient

from bridge.demo.servers.process import poll
from tests.support.delivery_cases import ONE_WAY
from tests.support.fault_scenario import Bench
from tests.support.oracle import Verdict
from tests.support.simulator import Workload
from tests.support.small_job_service import Service, state_of, states, unsent

SEND_FAILED = 75
WINDOW = 200
SLOW = Workload(rate=40, concurrency=8)
TAG = "to_notify"
FORGET = {
    "DELIVERY_MODE": "fire-and-forget",
    "DELIVERY_WINDOW_MESSAGES": str(WINDOW),
    "DELIVERY_DRAIN_SECONDS": "5",
}
SYNCHRONOUS = {"DELIVERY_MODE": "synchronous", "DELIVERY_SEND_TIMEOUT_SECONDS": "3"}
SWEEP = {"SWEEP_EVERY_SECONDS": "1", "SWEEP_OLDER_THAN_SECONDS": "2"}
JOBS = {"DELIVERY_MODE": "background-jobs", "SWEEP_JOB_TAG": TAG, **SWEEP}
TRANSITIONS = {"DELIVERY_MODE": "background-transitions", **SWEEP}


def lost(verdict: Verdict) -> set[str]:
    return {one.rpartition(" ")[2] for one in verdict.lost}


# Fire and forget


def test_fire_and_forget_never_waits_for_kafka(bench: Bench) -> None:
    """Pro: nothing is slowed down by Kafka."""
    bridge = bench.bridge(**FORGET).start().wait_ready()
    with bench.load() as load:
        load.await_commits(100)
        with bench.kafka_paused():
            load.await_commits(3 * WINDOW)
            # It has read on as if Kafka were there, and stored where it is.
            poll(lambda: bridge.metric("job_bridge_events_read_total") >= 3 * WINDOW, "reading on")
            assert bridge.readiness() == (200, "ready\n")
    assert bridge.terminate() == 0


def test_fire_and_forget_loses_messages_in_an_outage_and_no_error_reaches_anyone_but_they_are_counted(
    bench: Bench,
) -> None:
    """Con: messages are lost without an error."""
    bridge = bench.bridge(**FORGET).start().wait_ready()
    with bench.load() as load:
        load.await_commits(100)
        with bench.kafka_paused():
            load.await_commits(3 * WINDOW)
            poll(lambda: bridge.metric("job_bridge_messages_lost_total") > 0, "a loss")
        load.await_commits(100)
    poll(lambda: bridge.metric("job_bridge_in_flight_messages") == 0, "the last answer")
    counted = bridge.metric("job_bridge_messages_lost_total")
    assert bridge.running
    assert bridge.terminate() == 0

    verdict = bench.judge()
    assert len(lost(verdict)) == counted > 0
    assert not (verdict.reordered or verdict.strange) and verdict.repeated == 0
    assert bridge.said("messages are lost, as fire-and-forget allows")
    assert not [line for line in bridge.log() if line.get("level") == "ERROR"]


def test_fire_and_forget_keeps_its_memory_bounded_in_an_outage(bench: Bench) -> None:
    bridge = bench.bridge(**FORGET).start().wait_ready()
    with bench.load(Workload(rate=None, concurrency=32)) as load:
        load.await_commits(500)
        with bench.kafka_paused():
            poll(lambda: bridge.metric("job_bridge_messages_lost_total") > 0, "a loss")
            held = bridge.resident_bytes()
            load.await_commits(3000)
            assert bridge.resident_bytes() - held < 10_000_000
            assert bridge.metric("job_bridge_in_flight_messages") == WINDOW
    assert bridge.terminate() == 0


# Synchronous


def test_synchronous_shows_the_error_and_loses_nothing_it_acknowledged(bench: Bench) -> None:
    """Pro: an error is seen at once. Con: Kafka's outage is an outage."""
    bridge = bench.bridge(**SYNCHRONOUS).start().wait_ready()
    with bench.load(SLOW) as load:
        load.await_commits(100)
        with bench.kafka_paused():
            assert bridge.wait(30) == SEND_FAILED
        line = next(
            line["message"] for line in bridge.log() if line.get("exit_code") == SEND_FAILED
        )
        failed = next(
            one for one in bench.acknowledged if f"{one.job_id}, state {one.state}:" in line
        )
        assert line.startswith(f"send failed: Job {failed.job_id}, state {failed.state}: ")
        assert "did not acknowledge it within 3 s" in line
        bridge.start().wait_ready()
        load.await_commits(50)

    # One message was on its way when it failed, and may be there.
    bench.finish(bridge).check(repeated_at_most=1, at_least=150, saves_at_least=100)


def test_synchronous_stores_its_position_after_every_acknowledgement(bench: Bench) -> None:
    bridge = bench.bridge(**SYNCHRONOUS).start().wait_ready()
    with bench.load(SLOW) as load:
        for _ in range(3):
            load.await_commits(60)
            bridge.kill()
            bridge.start().wait_ready()

    # Only the one message between its acknowledgement and the store.
    bench.finish(bridge).check(repeated_at_most=3, at_least=180, saves_at_least=150)


# A tag per job


@ONE_WAY
def test_a_tag_per_job_delivers_eventually_and_may_skip_states_in_between(bench: Bench) -> None:
    """Pro: delivered in the end, whatever was down. Con: intermediate states may be skipped."""
    jobs = Service(bench, tag=TAG)
    bridge = bench.bridge(**JOBS).start().wait_ready()
    seen = jobs.begin()
    poll(lambda: states(bench, seen) == ["created"], "the first state")
    bridge.kill()
    for state in ("running", "finishing", "complete"):
        jobs.move(seen, state)
    bridge.start().wait_ready()
    poll(lambda: states(bench, seen)[-1] == "complete", "the last state")

    assert states(bench, seen) == ["created", "complete"]
    poll(lambda: not jobs.tagged(), "no tag")
    assert bridge.terminate() == 0


@ONE_WAY
def test_a_tag_per_job_repeats_when_untagging_fails_after_the_send(bench: Bench) -> None:
    """Con: duplicates."""
    jobs = Service(bench, tag=TAG)
    job_id = jobs.begin()
    bridge = bench.bridge(**JOBS)
    with bench.jobs_must({TAG: True}):
        bridge.start().wait_ready()
        poll(lambda: bridge.said("their tags stay"), "an untagging that failed")
        assert states(bench, job_id)[0] == "created"
        assert jobs.tagged() == [job_id]
    poll(lambda: not jobs.tagged(), "no tag")
    assert bridge.terminate() == 0

    assert len(states(bench, job_id)) > 1 and set(states(bench, job_id)) == {"created"}


@ONE_WAY
def test_a_tag_per_job_stays_when_the_state_is_not_the_one_sent_any_more(bench: Bench) -> None:
    jobs = Service(bench, tag=TAG)
    bridge = bench.bridge(**JOBS).start().wait_ready()
    with bench.kafka_paused():
        job_id = jobs.begin()
        poll(
            lambda: bridge.metric("job_bridge_messages_sent_total") >= 1,
            "the first state on its way",
        )
        jobs.move(job_id, "running")
    poll(lambda: states(bench, job_id)[-1:] == ["running"], "the second state")
    poll(lambda: not jobs.tagged(), "no tag")
    assert bridge.terminate() == 0


@ONE_WAY
def test_where_the_service_sets_no_tag_the_bridge_does_before_it_sends(bench: Bench) -> None:
    bridge = bench.bridge(**JOBS, SWEEP_TAGGED_BY="bridge").start().wait_ready()
    jobs = Service(bench)
    with bench.kafka_paused():
        job_id = jobs.begin()
        poll(lambda: jobs.tagged(TAG) == [job_id], "the bridge's tag")
        bridge.kill()
    jobs.move(job_id, "running")
    bridge.start().wait_ready()
    poll(lambda: states(bench, job_id)[-1:] == ["running"], "what happened while it was away")
    poll(lambda: not jobs.tagged(TAG), "no tag")
    assert bridge.terminate() == 0


# A tag per transition


@ONE_WAY
def test_a_tag_per_transition_skips_none(bench: Bench) -> None:
    """Pro: every transition is delivered, also those of the time the bridge was away."""
    bridge = bench.bridge(**TRANSITIONS).start().wait_ready()
    with bench.load(Workload(rate=100, concurrency=16, noise=False)) as load:
        load.await_commits(200)
        bridge.kill()
        load.await_commits(200)
        bridge.start().wait_ready()
        load.await_commits(200)

    bench.await_arrival()
    poll(lambda: unsent(bench) == 0, "every transition noted as sent")
    assert bridge.terminate() == 0
    verdict = bench.judge()
    # What was sent and not yet noted when it was killed.
    verdict.check(repeated_at_most=verdict.replay(bridge.deaths), at_least=600, saves_at_least=0)


@ONE_WAY
def test_a_tag_per_transition_repeats_when_untagging_fails_after_the_send(bench: Bench) -> None:
    """Con: duplicates."""
    bridge = bench.bridge(**TRANSITIONS).start().wait_ready()
    with bench.jobs_must({"transition_times.notif_sent": {"$ne": True}}):
        with bench.load(Workload(jobs=4, rate=None, noise=False)) as load:
            load.join()
        poll(lambda: bridge.said("their tags stay"), "an untagging that failed")
    bench.await_arrival()
    poll(lambda: unsent(bench) == 0, "every transition noted as sent")
    assert bridge.terminate() == 0

    verdict = bench.judge()
    assert verdict.repeated > 0 and not (verdict.lost or verdict.strange or verdict.reordered)


@ONE_WAY
def test_a_tag_per_transition_takes_over_from_the_services_own_sender(bench: Bench) -> None:
    """An existing database: what its sender left behind is sent, what it sent is not sent again."""
    with (
        MongoClient[Any](bench.mongo.uri) as client,
        bench.load(Workload(jobs=30, rate=None, noise=True)) as load,
    ):
        load.join()
        jobs = client[bench.database].jobs
        left = [job["id"] for job in jobs.find().limit(5)]
        jobs.update_many(
            {"id": {"$in": left}}, {"$set": {"transition_times.$[].notif_sent": False}}
        )
        expected = sum(len(job["transition_times"]) for job in jobs.find({"id": {"$in": left}}))
    bridge = bench.bridge(**TRANSITIONS).start().wait_ready()
    poll(lambda: unsent(bench) == 0, "every transition noted as sent", 60)
    assert bridge.terminate() == 0

    told = Counter(state_of(record)[0] for record in bench.kafka.read(bench.topic))
    assert set(told) == set(left) and told.total() == expected
