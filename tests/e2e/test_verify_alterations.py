"""``verify`` and ``--repair`` with a topic whose messages were removed and altered."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from kafka import KafkaProducer

from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter, transition
from tests.support.messages import values
from tests.support.servers.kafka import Kafka
from tests.support.servers.records import TopicRecord
from tests.support.verification_results import counts, replay, verify

#: Key and value of a message.
Content = tuple[bytes | None, bytes]
ALTERATIONS = (
    {"state": "canceled"},
    {"time": "2026-03-02T18:00:00+00:00"},
    {"trans_id": "unknown"},
    {"key": b"another"},
    {"job_id": "another", "key": b"another"},
)


@pytest.fixture
def given(settings: GivenSettings) -> dict[str, str]:
    return {**settings, "verify.settle_seconds": "0"}


def three_generations(jobs: JobWriter) -> set[str]:
    """Write jobs with ``$push``, with an archive, and with elements without an identity.

    Returns the identities in the archive.
    """
    start = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(minutes=10)
    moments = [start + timedelta(seconds=n) for n in range(7)]
    pushed = jobs.add(first=transition("created", time=moments[0]), _update_time=moments[-1])
    for state, moment in zip(GOOD[1:], moments[1:], strict=False):
        jobs.move(pushed, state, time=moment)
    attempts = ("created", "error", "recovering", "download_submitted", "complete")
    history = [transition(state, time=moments[n]) for n, state in enumerate(attempts)]
    jobs.add(
        trans_history=history[:3],
        transition_times=history[3:],
        state="complete",
        _update_time=moments[-1],
    )
    without = [transition(s, time=moments[n], trans_id=None) for n, s in enumerate(GOOD)]
    jobs.add(transition_times=without, state="complete", _update_time=moments[-1])
    return {element["trans_id"] for element in history[:3]}


def altered(record: TopicRecord, change: dict[str, Any]) -> tuple[bytes | None, bytes]:
    """Return the key and the value of a changed message."""
    fields = json.loads(record.value or b"") | change
    key = fields.pop("key", record.key)
    return key, json.dumps(fields).encode()


@pytest.mark.parametrize("seed", range(3))
def test_every_alteration_is_named_and_repaired(
    seed: int, given: dict[str, str], jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    archived = three_generations(jobs)
    replay(given, "--since", "1h")
    chance = random.Random(seed)
    copy = given["kafka.topic"] = f"{topic}-copy"
    kafka.create_topic(copy, partitions=3)
    kafka.create_topic(f"{copy}-dlq", partitions=1)
    complete, kept, lost = kafka.read(topic), list[Content](), list[Content]()
    producer = KafkaProducer(bootstrap_servers=kafka.internal)
    places = []
    for record in complete:
        assert record.value
        in_archive = json.loads(record.value)["trans_id"] in archived
        changes = (None, *ALTERATIONS) if in_archive else ({}, None, *ALTERATIONS)
        change = chance.choice(changes)
        (kept if change == {} else lost).append((record.key, record.value))
        if change is None:
            continue
        key, value = altered(record, change)
        sent = producer.send(copy, value, key, partition=record.partition).get(30)
        places += [f"({sent.partition}:{sent.offset}"] if change else []
    producer.close()

    document = verify(given)
    examples = document["examples"]
    assert document["code"] == 75
    assert document["transitions"] == len(complete) == 3 + 5 + 3
    assert archived <= {json.loads(value)["trans_id"] for _, value in lost}
    assert document["missing"] == len(lost)
    assert document["wrong"] + document["strange"] == len(places)
    named = " ".join(examples["wrong"] + examples["strange"])
    assert all(place in named for place in places)
    for fields in (json.loads(value) for _, value in lost):
        words = f"{fields['job_id']} {fields['state']} {fields['time']} {fields['trans_id']}"
        assert words in examples["missing"]

    before = len(kafka.read(copy))
    ended = run_command("verify", "--repair", settings=given)
    assert ended.code == (75 if places else 0)
    assert ("stay in the topic until its retention" in ended.out) == bool(places)
    after = [(record.key, record.value) for record in kafka.read(copy)]
    assert len(after) == before + len(lost)
    assert set(after) >= {*kept, *lost}
    assert all(after.count(content) == 1 for content in (*kept, *lost))
    assert "missing" not in counts(verify(given)) and "repeated" not in counts(verify(given))


def test_an_identity_added_later_is_not_strange(
    given: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job = jobs.add_past(*GOOD)
    jobs.collection.update_one({"id": job["id"]}, {"$unset": {"transition_times.$[].trans_id": 1}})
    replay(given, "--since", "1h")
    made = [value["trans_id"] for value in values(kafka.read(topic))]
    jobs.collection.update_one(
        {"id": job["id"]}, {"$set": {"transition_times.1.trans_id": "added by the service"}}
    )

    document = verify(given)

    assert (document["code"], counts(document)) == (0, {"transitions": 3, "messages": 3})
    assert len(set(made)) == 3


def test_documents_with_the_same_job_id_are_named(given: GivenSettings, jobs: JobWriter) -> None:
    job = jobs.add_past(*GOOD)
    twin = jobs.add_past(*GOOD, id=job["id"])
    replay(given, "--since", "1h")

    document = verify(given)
    assert (document["code"], counts(document)) == (
        0,
        {"transitions": 6, "messages": 6, "shared_ids": 1},
    )
    (example,) = document["examples"]["shared_ids"]
    assert all(word in example for word in (job["id"], str(job["_id"]), str(twin["_id"])))

    ended = run_command("verify", settings=given)
    assert "job ids that several documents have: 1" in ended.out and example in ended.out


def test_nothing_to_compare_is_not_a_success(
    given: GivenSettings, jobs: JobWriter, topic: str
) -> None:
    jobs.add_past(*GOOD, ago=7200)

    ended = run_command("verify", "--since", "1h", settings=given)

    assert (ended.code, ended.out) == (66, "")
    assert "nothing to compare from " in ended.error
    assert f"the topic {topic} has no message" in ended.error
