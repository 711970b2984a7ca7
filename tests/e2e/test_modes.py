"""The pros and cons of the delivery modes, one test each, on real servers.

The design of the CDM Task Service's notifications weighs four ways: fire and forget, synchronous, a
background processor with a tag per job, and one with a tag per transition.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from pymongo import MongoClient

from bridge.demo.job_service.workload import HISTORY
from bridge.demo.servers.process import poll
from tests.support.delivery_case import ONE_DELIVERY
from tests.support.fault_scenario import BUSY, FORTY_JOBS, FaultScenario
from tests.support.messages import values
from tests.support.oracle import Verdict
from tests.support.service_run import elements
from tests.support.simulator import Workload, Writes

SEND_FAILED = 75
WINDOW = 200
SLOW = Workload(rate=40, concurrency=8, error_share=0.4, writes="both")
TAG = "to_notify"
FORGET = {
    "delivery.mode": "fire-and-forget",
    "delivery.window_messages": str(WINDOW),
    "delivery.drain_seconds": "5",
}
SYNCHRONOUS = {"delivery.mode": "synchronous", "delivery.send_timeout_seconds": "3"}
SWEEP = {"sweep.every_seconds": "1", "sweep.older_than_seconds": "2"}
JOBS = {"delivery.mode": "background-jobs", "sweep.job_tag": TAG, **SWEEP}
TRANSITIONS = {"delivery.mode": "background-transitions", **SWEEP}


def lost(verdict: Verdict) -> set[str]:
    return {example.rpartition(" ")[2] for example in verdict.lost}


# Fire and forget


def test_fire_and_forget_never_waits_for_kafka(scenario: FaultScenario) -> None:
    """Pro: nothing is slowed down by Kafka."""
    bridge = scenario.bridge(**FORGET).start().wait_ready()
    with scenario.load() as load:
        load.await_commits(100)
        with scenario.kafka_paused():
            load.await_commits(3 * WINDOW)
            # It has read on as if Kafka were there, and stored where it is.
            poll(lambda: bridge.metric("job_bridge_events_read_total") >= 3 * WINDOW, "reading on")
            # Not ready, because it is blind: what it sends now may be lost.
            bridge.wait_unready("Kafka", 30)
    assert bridge.stop() == 0


def test_fire_and_forget_counts_losses_without_an_error(
    scenario: FaultScenario,
) -> None:
    """Con: messages are lost without an error."""
    bridge = scenario.bridge(**FORGET).start().wait_ready()
    with scenario.load() as load:
        load.await_commits(100)
        with scenario.kafka_paused():
            load.await_commits(3 * WINDOW)
            poll(lambda: bridge.metric("job_bridge_messages_lost_total") > 0, "a loss")
        load.await_commits(100)
    poll(lambda: bridge.metric("job_bridge_in_flight_messages") == 0, "the last answer")
    counted = bridge.metric("job_bridge_messages_lost_total")
    assert bridge.running
    assert bridge.stop() == 0

    verdict = scenario.judge()
    assert len(lost(verdict)) == counted > 0
    assert not (verdict.reordered or verdict.strange) and verdict.repeated == 0
    assert bridge.has_logged("messages are lost, as fire-and-forget allows")
    assert not [line for line in bridge.all_lines() if line.get("level") == "ERROR"]


@ONE_DELIVERY
def test_fire_and_forget_bounds_its_memory_in_outages(scenario: FaultScenario) -> None:
    bridge = scenario.bridge(**FORGET).start().wait_ready()
    with scenario.load(Workload(rate=None, concurrency=32, error_share=0.4, writes="both")) as load:
        load.await_commits(500)
        with scenario.kafka_paused():
            poll(lambda: bridge.metric("job_bridge_messages_lost_total") > 0, "a loss")
            held = bridge.resident_bytes()
            load.await_commits(1500)
            assert bridge.resident_bytes() - held < 10_000_000
            assert bridge.metric("job_bridge_in_flight_messages") == WINDOW
    assert bridge.stop() == 0


# Synchronous


def test_synchronous_reports_an_error_and_loses_nothing(
    scenario: FaultScenario,
) -> None:
    """Pro: an error is seen at once. Con: Kafka's outage is an outage."""
    bridge = scenario.bridge(**SYNCHRONOUS).start().wait_ready()
    with scenario.load(SLOW) as load:
        load.await_commits(100)
        with scenario.kafka_paused():
            assert bridge.wait() == SEND_FAILED
        line = next(
            line["message"] for line in bridge.all_lines() if line.get("exit_code") == SEND_FAILED
        )
        failed = next(
            commit
            for commit in scenario.acknowledged
            if f"{commit.job_id}, state {commit.state}:" in line
        )
        assert line.startswith(f"send failed: Job {failed.job_id}, state {failed.state}: ")
        assert "did not acknowledge it within 3 s" in line
        bridge.start().wait_ready()
        load.await_commits(50)

    # If the topic has the message that was in flight at the failure, it is left out.
    scenario.finish(bridge).check(repeated_at_most=0, at_least=150, saves_at_least=100)


@ONE_DELIVERY
def test_synchronous_stores_its_position_after_every_acknowledgement(
    scenario: FaultScenario,
) -> None:
    bridge = scenario.bridge(**SYNCHRONOUS).start().wait_ready()
    with scenario.load(SLOW) as load:
        for _ in range(3):
            load.await_commits(60)
            bridge.kill()
            bridge.start().wait_ready()

    # The message between its acknowledgement and the store is left out.
    scenario.finish(bridge).check(repeated_at_most=0, at_least=180, saves_at_least=150)


# A tag per job


@ONE_DELIVERY
def test_job_tags_deliver_the_latest_state(
    scenario: FaultScenario,
) -> None:
    """Pro: delivered in the end, whatever was down. Con: intermediate states may be skipped."""
    jobs = scenario.jobs(TAG)
    bridge = scenario.bridge(**JOBS).start().wait_ready()
    job_id = jobs.insert()
    poll(lambda: scenario.published_states(job_id) == ["created"], "the first state")
    bridge.kill()
    jobs.advance(job_id, "running")
    jobs.advance(job_id, "error", admin_error="exit code 1")
    jobs.recover(job_id)
    jobs.advance(job_id, "complete")
    bridge.start().wait_ready()
    poll(lambda: scenario.published_states(job_id)[-1] == "complete", "the last state")

    assert scenario.published_states(job_id) == ["created", "complete"]
    poll(lambda: not jobs.ids_tagged(TAG), "no tag")
    assert bridge.stop() == 0


@ONE_DELIVERY
def test_job_tags_repeat_when_untagging_fails(scenario: FaultScenario) -> None:
    """Con: duplicates."""
    jobs = scenario.jobs(TAG)
    job_id = jobs.insert()
    bridge = scenario.bridge(**JOBS)
    with scenario.jobs_validated({TAG: True}):
        bridge.start().wait_ready()
        poll(lambda: bridge.has_logged("their tags stay"), "an untagging that failed")
        assert scenario.published_states(job_id)[0] == "created"
        assert jobs.ids_tagged(TAG) == [job_id]
    poll(lambda: not jobs.ids_tagged(TAG), "no tag")
    assert bridge.stop() == 0

    assert len(scenario.published_states(job_id)) > 1 and set(
        scenario.published_states(job_id)
    ) == {"created"}


@ONE_DELIVERY
def test_a_job_tag_outlasts_a_new_state(
    scenario: FaultScenario,
) -> None:
    """The tag stays while the current state is not the sent one."""
    jobs = scenario.jobs(TAG)
    bridge = scenario.bridge(**JOBS).start().wait_ready()
    with scenario.kafka_paused():
        job_id = jobs.insert()
        poll(
            lambda: bridge.metric("job_bridge_messages_sent_total") >= 1,
            "the first state on its way",
        )
        jobs.advance(job_id, "running")
    poll(lambda: scenario.published_states(job_id)[-1:] == ["running"], "the second state")
    poll(lambda: not jobs.ids_tagged(TAG), "no tag")
    assert bridge.stop() == 0


@ONE_DELIVERY
def test_the_bridge_sets_job_tags_before_sending(
    scenario: FaultScenario,
) -> None:
    """It does so where the service sets no tag."""
    bridge = scenario.bridge(**JOBS, sweep__tagged_by="bridge").start().wait_ready()
    jobs = scenario.jobs()
    with scenario.kafka_paused():
        job_id = jobs.insert()
        poll(lambda: jobs.ids_tagged(TAG) == [job_id], "the bridge's tag")
        bridge.kill()
    jobs.advance(job_id, "running")
    bridge.start().wait_ready()
    poll(
        lambda: scenario.published_states(job_id)[-1:] == ["running"],
        "what happened while it was away",
    )
    poll(lambda: not jobs.ids_tagged(TAG), "no tag")
    assert bridge.stop() == 0


# A tag per transition


@ONE_DELIVERY
def test_a_tag_per_transition_skips_none(scenario: FaultScenario) -> None:
    """Pro: every transition is delivered, also those during a downtime of the bridge."""
    bridge = scenario.bridge(**TRANSITIONS).start().wait_ready()
    with scenario.load(replace(BUSY, rate=100, noise=False)) as load:
        load.await_commits(200)
        bridge.kill()
        load.await_commits(200)
        bridge.start().wait_ready()
        load.await_commits(200)

    scenario.wait_for_arrival()
    poll(lambda: scenario.jobs().count_unsent() == 0, "every transition noted as sent")
    assert bridge.stop() == 0
    verdict = scenario.judge()
    # Messages that were sent and not noted yet when the bridge was killed.
    verdict.check(repeated_at_most=verdict.replay(bridge.deaths), at_least=600, saves_at_least=0)


@ONE_DELIVERY
def test_transition_tags_repeat_when_untagging_fails(
    scenario: FaultScenario,
) -> None:
    """Con: duplicates."""
    bridge = scenario.bridge(**TRANSITIONS).start().wait_ready()
    with scenario.jobs_validated({f"{array}.notif_sent": {"$ne": True} for array in HISTORY}):
        with scenario.load(replace(FORTY_JOBS, jobs=8, noise=False)) as load:
            load.join()
        poll(lambda: bridge.has_logged("their tags stay"), "an untagging that failed")
    scenario.wait_for_arrival()
    poll(lambda: scenario.jobs().count_unsent() == 0, "every transition noted as sent")
    assert bridge.stop() == 0

    verdict = scenario.judge()
    assert verdict.repeated > 0 and not (verdict.lost or verdict.strange or verdict.reordered)


@ONE_DELIVERY
@pytest.mark.parametrize("writes", ["push", "both"])
def test_transition_tags_take_over_from_another_sender(
    scenario: FaultScenario, writes: Writes
) -> None:
    """The other sender's unsent transitions are sent, its sent ones are not."""
    with MongoClient[Any](scenario.mongo.uri) as client:
        scenario.run_jobs(replace(FORTY_JOBS, jobs=30, writes=writes))
        jobs = client[scenario.database].jobs
        for job in jobs.find().limit(5):
            unsent = {
                array: [element | {"notif_sent": False} for element in job[array]]
                for array in HISTORY
                if array in job
            }
            jobs.update_one({"_id": job["_id"]}, {"$set": unsent})
        expected = Counter(
            job["id"]
            for job in jobs.find()
            for element in elements(job)
            if not element["notif_sent"]
        )
    bridge = scenario.bridge(**TRANSITIONS).start().wait_ready()
    poll(lambda: scenario.jobs().count_unsent() == 0, "every transition noted as sent", 120)
    assert bridge.stop() == 0

    messages = values(scenario.kafka.read(scenario.topic))
    assert Counter(message["job_id"] for message in messages) == expected
