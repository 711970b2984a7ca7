"""``verify`` in a topic whose oldest record is another producer's, with an odd timestamp."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from kafka import KafkaProducer, TopicPartition

from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.servers.kafka import Kafka
from tests.support.verification_results import counts, replay, verify

#: In the far future, and at zero.
ODD_MS = [4_102_444_800_000, 0]


class RemovedMessages:
    """A topic that lost the messages of a job, and then has a foreign record and another job.

    Attributes:
        jobs: Writes the jobs.
        removed: The job whose messages were removed.
        kept: The job whose messages follow the foreign record.
    """

    def __init__(self, settings: GivenSettings, jobs: JobWriter, kafka: Kafka) -> None:
        self.settings = {**settings, "verify.settle_seconds": "0"}
        self._topic = self.settings["kafka.topic"] = f"{settings['kafka.topic']}-narrow"
        self.jobs = jobs
        self._kafka = kafka
        # A timestamp in the future would begin a new segment, and Kafka then searches by time in
        # the old one, until its files are deleted.
        configs = {"message_timestamp_after_max_ms": 10**15, "segment_ms": 10**16}
        kafka.create_topic(self._topic, 1, **configs)
        self.removed = jobs.add_past(*GOOD, ago=4 * 3600)["id"]
        replay(self.settings, "--job", self.removed)

    def remove(self) -> None:
        """Remove everything, as the retention does."""
        with self._kafka.admin() as admin:
            end = self._kafka.read(self._topic)[-1].offset + 1
            admin.delete_records({TopicPartition(self._topic, 0): end})

    def write(self, timestamp_ms: int) -> None:
        """Write the record of another producer."""
        with KafkaProducer(bootstrap_servers=self._kafka.internal) as producer:
            producer.send(self._topic, b"hello", b"key", timestamp_ms=timestamp_ms).get(30)

    def add(self, ago: int) -> None:
        """Write a job and its messages, as if they had been sent a minute before."""
        self.kept = self.jobs.add_past(*GOOD, ago=ago)["id"]
        shadow = f"{self._topic}-shadow"
        self._kafka.create_topic(shadow, 1)
        replay(self.settings, "--job", self.kept, "--topic", shadow)
        sent = datetime.now(timezone.utc) - timedelta(seconds=ago + 60)
        with KafkaProducer(bootstrap_servers=self._kafka.internal) as producer:
            for record in self._kafka.read(shadow):
                producer.send(
                    self._topic,
                    record.value,
                    record.key,
                    timestamp_ms=int(sent.timestamp() * 1000),
                ).get(30)


@pytest.fixture
def messages(settings: GivenSettings, jobs: JobWriter, kafka: Kafka) -> RemovedMessages:
    return RemovedMessages(settings, jobs, kafka)


@pytest.mark.parametrize("timestamp_ms", ODD_MS)
def test_a_foreign_timestamp_bounds_nothing(messages: RemovedMessages, timestamp_ms: int) -> None:
    """The first message of a transition does."""
    messages.remove()
    messages.write(timestamp_ms)
    messages.add(ago=600)

    document = verify(messages.settings, "--since", "5h")

    assert (document["code"], counts(document)) == (0, {"transitions": 3, "messages": 3})


@pytest.mark.parametrize("timestamp_ms", ODD_MS)
def test_the_retention_bounds_foreign_records(
    messages: RemovedMessages, kafka: Kafka, timestamp_ms: int
) -> None:
    """Without any message of a transition, the topic's retention says what was removed."""
    messages.remove()
    messages.write(timestamp_ms)
    lost = messages.jobs.add_past(*GOOD, ago=600)["id"]
    kafka.alter_topic(messages.settings["kafka.topic"], retention_ms=3 * 3_600_000)

    ended = run_command("verify", "--since", "5h", settings=messages.settings)

    assert ended.code == 75
    assert lost in ended.out and messages.removed not in ended.out
    assert "has removed messages older than" in ended.err
