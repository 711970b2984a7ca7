"""Tags of recovered jobs: their service moved unsent transitions to the archive."""

from __future__ import annotations

from bridge.model.profile import PROFILES
from bridge.mongo.job_documents import JobDocuments
from tests.e2e.conftest import MakeBridge
from tests.support.archived_jobs import RECOVER, element, job, unsent
from tests.support.command import GivenSettings
from tests.support.job_writer import JobWriter
from tests.support.messages import header, published_states
from tests.support.servers.kafka import Kafka
from tests.support.sweeps import TAG, sweep_once

OLD = job("old", None, element("created", 900), element("error", 800))
RECOVERED = job(
    "recovered",
    [element("created", 900, sent=True), element("error", 800), element("created", 750, None)],
    element("error", 700, None),
    element("complete", 600),
)


def sequences(jobs: JobWriter, job_id: str) -> list[int | None]:
    """The sequence of each transition in a job's history."""
    document = jobs.collection.find_one({"id": job_id})
    assert document is not None
    return [item.sequence for item in JobDocuments(PROFILES["cts"]).history(document).items]


def sent_sequences(kafka: Kafka, topic: str, job_id: str) -> list[int]:
    return [
        int(header(record, "ce_sequence") or b"")
        for record in kafka.read(topic)
        if record.key == job_id.encode()
    ]


def test_archived_transitions_are_sent_and_noted(
    by_transition: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    jobs.collection.insert_many([OLD | {}, RECOVERED | {}])

    assert [sweep_once(by_transition) for _ in range(2)] == [6, 0]

    assert published_states(kafka, topic, "old") == ["created", "error"]
    assert published_states(kafka, topic, "recovered") == ["error", "created", "error", "complete"]
    assert [unsent(document) for document in jobs.collection.find()] == [[], []]
    assert sent_sequences(kafka, topic, "old") == sequences(jobs, "old")
    assert sent_sequences(kafka, topic, "recovered") == sequences(jobs, "recovered")[1:]


def test_recovered_jobs_are_sent_and_untagged(
    by_job: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    jobs.collection.insert_many([OLD | {TAG: True}, RECOVERED | {TAG: True}])

    assert [sweep_once(by_job) for _ in range(2)] == [2, 0]

    assert published_states(kafka, topic, "old") == ["error"]
    assert published_states(kafka, topic, "recovered") == ["complete"]
    assert jobs.collection.count_documents({TAG: True}) == 0


def test_archived_transitions_precede_streamed_ones(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    """They were written while the bridge was stopped; the sweep regards them as too young."""
    before = [element("created", 60), element("error", 50)]
    jobs.collection.insert_many([job("old", None, *before), job("recovered", None, *before)])
    jobs.update("recovered", {"$set": {"admin_meta.reason": "x"}})
    assert jobs.collection.update_one({"id": "recovered"}, RECOVER).modified_count == 1
    with start(delivery__mode="background-transitions") as bridge:
        bridge.wait_ready()
        for job_id in ("old", "recovered"):
            jobs.update(
                job_id,
                {"$push": {"transition_times": element("x", -5)}, "$set": {"state": "x"}},
            )
        bridge.wait_for(
            lambda: not any(unsent(document) for document in jobs.collection.find()), "all tags"
        )
        assert bridge.stop() == 0

    assert published_states(kafka, topic, "old") == ["created", "error", "x"]
    again = ["created", "error", "download_submitted", "x"]
    assert published_states(kafka, topic, "recovered") == again
    for job_id in ("old", "recovered"):
        assert sent_sequences(kafka, topic, job_id) == sequences(jobs, job_id)


def test_a_recovered_job_is_streamed_and_noted(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    """The removal of a tag in the archive is not a transition."""
    with start(delivery__mode="background-transitions") as bridge:
        bridge.wait_ready()
        jobs.collection.insert_one(job("a", None, element("created", 60), element("error", 50)))
        assert jobs.collection.update_one({"id": "a"}, RECOVER).modified_count == 1
        bridge.wait_for(lambda: unsent(jobs.collection.find_one()) == [], "all tags")
        jobs.collection.insert_one(job("b", None, element("created", 40)))
        bridge.wait_for(lambda: published_states(kafka, topic, "b") == ["created"], "job b")
        assert bridge.stop() == 0

    assert published_states(kafka, topic, "a") == ["created", "error", "download_submitted"]
    assert sent_sequences(kafka, topic, "a") == sequences(jobs, "a")
