"""Messages too large for the topic, too many dead letters, and nowhere to put one."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import MakeBridge
from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter, sequence_at, transition
from tests.support.messages import dead_letters, header, published_states, values
from tests.support.servers.kafka import Kafka

HUGE = "x" * 2_000_000


def test_an_oversized_message_is_dead_lettered_in_order(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add()
        jobs.move(job_id, HUGE, trans_id="the-huge-one")
        jobs.move(job_id, "complete", 2)
        after = jobs.add_good()
        bridge.wait_acked(3 + len(GOOD))

        assert bridge.ready()
        # Found before it is sent: the producer was never broken by it.
        assert not any(
            count
            for name, count in bridge.metrics().items()
            if name.startswith("job_bridge_restarts_total{")
        )
    [letter] = kafka.read(f"{topic}-dlq")
    [told_of] = values([letter])
    assert told_of["error_dlq"].startswith("the message has 2000") and topic in told_of["error_dlq"]
    assert told_of["job_id"] == job_id and told_of["trans_id"] == "the-huge-one"
    assert letter.key == job_id.encode() == header(letter, "ce_subject")
    assert header(letter, "ce_id") == b"the-huge-one"
    assert header(letter, "ce_sequence") == b"%d" % sequence_at(1)
    assert published_states(kafka, topic, job_id) == ["created", "complete"]
    assert published_states(kafka, topic, after) == list(GOOD)


def test_a_message_too_large_stops_if_configured(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start(kafka__on_oversize="stop") as bridge:
        bridge.wait_ready()
        job_id = jobs.add()
        jobs.move(job_id, HUGE)
        jobs.move(job_id, "complete", 2)
        ended = bridge.wait_for_end()

    assert ended.code == 82
    assert f"Job {job_id}: the message has 2000" in ended.error
    assert "Nothing is lost" in ended.error and "Raise the topic's max.message.bytes" in ended.error
    assert published_states(kafka, topic, job_id) == ["created"]
    assert dead_letters(kafka, topic) == []

    kafka.alter_topic(topic, max_message_bytes=4_000_000)
    with start(kafka__on_oversize="stop") as bridge:
        bridge.wait_acked(2)
    assert published_states(kafka, topic, job_id) == ["created", HUGE, "complete"]


def test_the_topics_own_limit_decides_about_dead_letters(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    kafka.alter_topic(topic, max_message_bytes=2000)
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add()
        for size in (1000, 3000):
            jobs.move(job_id, "x" * size)
        bridge.wait_acked(3)

        assert not any(
            count
            for name, count in bridge.metrics().items()
            if name.startswith("job_bridge_restarts_total{")
        )
    assert [len(state) for state in published_states(kafka, topic, job_id)] == [7, 1000]
    assert [len(letter["state"]) for letter in dead_letters(kafka, topic)] == [500]


def test_too_many_dead_letters_stop_the_bridge(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start(delivery__dead_letters_per_hour="2") as bridge:
        bridge.wait_ready()
        good = jobs.add_good()
        for number in range(5):
            jobs.add(id=number)
        ended = bridge.wait_for_end()

    assert ended.code == 82
    assert (
        "Too many dead letters within an hour; the next: the job id is int, not text" in ended.error
    )
    assert "Nothing is lost" in ended.error
    assert (
        f"Check {topic}-dlq" in ended.error
        and "raise delivery.dead_letters_per_hour" in ended.error
    )
    assert published_states(kafka, topic, good) == list(GOOD)
    assert [letter["job_id"] for letter in dead_letters(kafka, topic)] == ["0", "1"]


def test_after_the_brake_the_next_message_follows(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start(delivery__dead_letters_per_hour="1") as bridge:
        bridge.wait_ready()
        for number in range(3):
            jobs.add(id=number)
        good = jobs.add_good()
        assert bridge.wait_for_end().code == 82
    with start() as bridge:
        bridge.wait_acked(2 + len(GOOD))

    assert [letter["job_id"] for letter in dead_letters(kafka, topic)] == ["0", "1", "2"]
    assert published_states(kafka, topic, good) == list(GOOD)


@pytest.fixture
def without_dead_letters(kafka: Kafka, topic: str, settings: GivenSettings) -> GivenSettings:
    name = f"{topic}-alone"
    kafka.create_topic(name)
    return {**settings, "kafka.topic": name}


def test_a_missing_dead_letter_topic_stops_the_bridge(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, without_dead_letters: GivenSettings
) -> None:
    """After ``topics create`` it resumes without loss."""
    name = without_dead_letters["kafka.topic"]
    with start(kafka__topic=name) as bridge:
        bridge.wait_ready()
        assert f"the dead-letter topic {name}-dlq does not exist" in bridge.wait_for_line(
            "dead-letter topic"
        )
        first = jobs.add_good()
        jobs.add(id="odd", first=transition("created", time="noon"))
        after = jobs.add_good()
        ended = bridge.wait_for_end()

    assert ended.code == 82
    assert f"its dead-letter topic {name}-dlq does not exist" in ended.error
    assert "the time is str, not a date" in ended.error
    assert "Nothing is lost" in ended.error
    assert "'job-bridge topics create' creates it" in ended.error
    assert (
        published_states(kafka, name, first) == list(GOOD)
        and published_states(kafka, name, after) == []
    )

    made = run_command("topics", "create", settings=without_dead_letters)
    assert made.code == 0
    existing, created = made.out.splitlines()
    assert existing.startswith(f"{name}: already exists")
    assert created == f"{name}-dlq: created with 1 partition(s)"
    with start(kafka__topic=name) as bridge:
        bridge.wait_acked(1 + len(GOOD))
    assert [letter["job_id"] for letter in dead_letters(kafka, name)] == ["odd"]
    assert (
        published_states(kafka, name, first) == list(GOOD) == published_states(kafka, name, after)
    )
