"""Deletes, drops and renames: the bridge keeps running and follows the collection's name."""

from __future__ import annotations

from tests.e2e.conftest import MakeBridge
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import dead_letters, published_states
from tests.support.servers.kafka import Kafka


def test_a_deleted_job_is_logged_and_not_sent(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add()
        jobs.collection.delete_one({"id": job_id})
        after = jobs.add_good()
        bridge.wait_acked(1 + len(GOOD))

        assert any(
            "a job was deleted: nothing is sent for it" in line for line in bridge.messages()
        )
        assert bridge.metrics()['job_bridge_events_skipped_total{reason="delete"}'] == 1
        assert bridge.ready()
    assert published_states(kafka, topic, job_id) == ["created"]
    assert published_states(kafka, topic, after) == list(GOOD)


def test_a_job_deleted_early_keeps_its_id(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    """It was deleted while the bridge was stopped; MongoDB still has it as it was before."""
    job_id = jobs.add()
    with start() as bridge:
        bridge.wait_ready()
        assert bridge.stop() == 0
    jobs.move(job_id, "complete")
    jobs.collection.delete_one({"id": job_id})
    after = jobs.add_good()
    with start() as bridge:
        bridge.wait_acked(1 + len(GOOD))

    assert dead_letters(kafka, topic) == []
    assert published_states(kafka, topic, job_id) == ["complete"]
    assert published_states(kafka, topic, after) == list(GOOD)


def test_the_collection_after_a_drop_is_followed(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        before = jobs.add_good()
        bridge.wait_acked(len(GOOD))
        jobs.collection.drop()
        after = jobs.add_good()
        bridge.wait_acked(2 * len(GOOD)).wait_ready()

        assert any("the collection was dropped" in line for line in bridge.messages())
        assert bridge.running
    assert (
        published_states(kafka, topic, before)
        == published_states(kafka, topic, after)
        == list(GOOD)
    )


def test_the_collection_after_a_rename_is_followed(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        before = jobs.add_good()
        bridge.wait_acked(len(GOOD))
        jobs.collection.rename("jobs-of-last-year")
        after = jobs.add_good()
        bridge.wait_acked(2 * len(GOOD)).wait_ready()

        assert any(
            "set mongo.collection to follow the new name" in line for line in bridge.messages()
        )
    assert (
        published_states(kafka, topic, before)
        == published_states(kafka, topic, after)
        == list(GOOD)
    )


def test_the_database_after_a_drop_is_followed(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        jobs.collection.database.client.drop_database(jobs.collection.database.name)
        after = jobs.add_good()
        bridge.wait_acked(len(GOOD)).wait_ready()

    assert published_states(kafka, topic, after) == list(GOOD)


def test_a_drop_during_downtime_loses_nothing(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        assert bridge.stop() == 0
    before = jobs.add_good()
    jobs.collection.drop()
    after = jobs.add_good()
    with start() as bridge:
        bridge.wait_acked(2 * len(GOOD)).wait_ready()

    assert (
        published_states(kafka, topic, before)
        == published_states(kafka, topic, after)
        == list(GOOD)
    )
