"""The service's own sender beside the bridge, when a job is recovered.

The sender crashes after the job has failed, so that the last transition is not sent. Then the job
is recovered, which moves its history to the archive and sends nothing.
"""

from __future__ import annotations

from bridge.demo.servers.process import poll
from tests.e2e.conftest import MakeBridge
from tests.support.job_writer import JobWriter
from tests.support.messages import values
from tests.support.own_sender import OwnSender
from tests.support.servers.kafka import Kafka

BEFORE_FAILURE = ("download_submitted", "job_submitting", "job_submitted")


class RecoveredJob:
    """A job that was recovered after its failure; the own sender missed some transitions."""

    def __init__(self, jobs: JobWriter) -> None:
        self.sender = OwnSender(jobs.collection)
        self.job_id = jobs.insert()
        job = jobs.collection.find_one({"id": self.job_id})
        assert job is not None
        self.transitions = [job["transition_times"][0]["trans_id"]]
        self.transitions += [jobs.advance(self.job_id, state) for state in BEFORE_FAILURE]
        for trans_id in self.transitions:
            self.sender.send(self.job_id, trans_id)
        #: Not sent because the service crashed.
        self.failure = jobs.advance(self.job_id, "error", admin_error="exit code 1")
        recovering, self.restarted = jobs.recover(self.job_id)
        self.sender.send(self.job_id, recovering)
        self.last = jobs.advance(self.job_id, "job_submitting")
        self.sender.send(self.job_id, self.last)
        self.transitions += [self.failure, recovering, self.restarted, self.last]


def missed(job: RecoveredJob) -> list[str]:
    """The transitions that the service's own sender has not sent, in the order of the job."""
    return [trans_id for trans_id in job.transitions if trans_id not in job.sender.messages]


def published(kafka: Kafka, topic: str) -> list[str]:
    return [message["trans_id"] for message in values(kafka.read(topic))]


def test_the_own_sender_omits_transitions_around_recoveries(jobs: JobWriter) -> None:
    job = RecoveredJob(jobs)
    assert missed(job) == [job.failure, job.restarted]

    job.sender.send_unsent()

    assert missed(job) == [job.failure], "its search finds no archived transition"


def test_the_bridge_delivers_what_that_sender_omits(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        job = RecoveredJob(jobs)
        poll(lambda: job.last in published(kafka, topic), "the last transition")

    assert published(kafka, topic) == job.transitions


def test_a_later_bridge_delivers_it_from_history(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job = RecoveredJob(jobs)
    with start(start__from="history") as bridge:
        bridge.wait_ready()
        poll(lambda: job.last in published(kafka, topic), "the last transition")

    assert published(kafka, topic) == job.transitions
