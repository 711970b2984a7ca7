"""``verify``: reports transitions missing from the topic."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest
from kafka import KafkaProducer, TopicPartition

from tests.e2e.conftest import MakeBridge
from tests.support.command import ROOT, GivenSettings, assert_clean, environment, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import NotUtf8
from tests.support.servers.kafka import Kafka
from tests.support.verification_results import counts, replay, verify


@pytest.fixture
def given(settings: GivenSettings) -> dict[str, str]:
    return {**settings, "verify.settle_seconds": "0"}


def test_when_kafka_has_everything_it_says_so(given: GivenSettings, jobs: JobWriter) -> None:
    for _ in range(5):
        jobs.add_past(*GOOD)
    replay(given, "--since", "1h")

    document = verify(given)

    assert (document["code"], counts(document)) == (0, {"transitions": 15, "messages": 15})


def test_repeated_messages_are_not_a_failure(given: GivenSettings, jobs: JobWriter) -> None:
    kept, gone = jobs.add_past(*GOOD), jobs.add_past(*GOOD)
    replay(given, "--since", "1h")
    replay(given, "--job", kept["id"], "--state", "complete")

    document = verify(given)
    assert (document["code"], counts(document)) == (
        0,
        {"transitions": 6, "messages": 7, "repeated": 1},
    )

    jobs.collection.delete_one({"id": gone["id"]})
    document = verify(given)
    assert (document["code"], counts(document)) == (
        75,
        {"transitions": 3, "messages": 7, "repeated": 1, "strange": 3},
    )


def test_only_the_asked_time_is_compared(given: GivenSettings, jobs: JobWriter) -> None:
    now = datetime.now(timezone.utc)
    jobs.add_past(*GOOD, ago=7200)
    recent = jobs.add_past(*GOOD, ago=600)

    document = verify(given, "--from", (now - timedelta(hours=1)).isoformat(), "--to", "5m")

    assert counts(document) == {"transitions": 3, "missing": 3}
    assert all(recent["id"] in example for example in document["examples"]["missing"])


def test_transitions_still_in_flight_are_left_out(given: dict[str, str], jobs: JobWriter) -> None:
    jobs.add_past(*GOOD, ago=10, every=0)
    given["verify.settle_seconds"] = "60"

    document = verify(given)
    assert (document["code"], counts(document)) == (66, {})
    assert counts(verify({**given, "verify.settle_seconds": "5"})) == {
        "transitions": 3,
        "missing": 3,
    }


def test_a_dead_letter_is_not_missing(
    given: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str, start: MakeBridge
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        jobs.add_past("created", "x" * 2_000_000, "complete", ago=10)
        bridge.wait_acked(3)

    document = verify(given)

    assert (document["code"], counts(document)) == (
        0,
        {"transitions": 3, "messages": 2, "set_aside": 1},
    )


def test_nor_is_one_whose_identity_was_shortened(
    given: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str, start: MakeBridge
) -> None:
    kafka.alter_topic(topic, max_message_bytes=1_000)
    with start() as bridge:
        bridge.wait_ready()
        job = jobs.add_past("created", "running", ago=10)
        jobs.move(
            job["id"], "complete", trans_id="t" * 1_000, time=job["transition_times"][-1]["time"]
        )
        bridge.wait_acked(3)

    document = verify(given)

    assert (document["code"], counts(document)) == (
        0,
        {"transitions": 3, "messages": 2, "set_aside": 1},
    )


def test_a_person_reads_what_a_program_reads(given: GivenSettings, jobs: JobWriter) -> None:
    job = jobs.add_past(*GOOD)

    ended = run_command("verify", settings=given)

    assert ended.code == 75
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["missing", "3"] in lines and ["out", "of", "order", "0"] in lines
    assert job["id"] in ended.out
    hint = re.search(r"'job-bridge (verify --repair .+)' with the same settings sends", ended.out)
    assert hint, ended.out
    repaired = run_command(*hint[1].split(), settings=given)
    assert repaired.code == 0 and "3 missing transitions were sent" in repaired.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--since", "2026-03-02T18:00:00"),
            "has no zone: write 2026-03-02T18:00:00+00:00 for UTC, or ",
        ),
        (("--since", "yesterday"), "not an ISO 8601 time such as"),
        (("--since", "1h", "--from", "2h"), "--since and --from have the same meaning"),
        (("--from", "1h", "--to", "2h"), "before it starts"),
    ],
)
def test_a_time_that_is_none_is_refused(
    arguments: tuple[str, ...], words: str, given: GivenSettings
) -> None:
    ended = run_command("verify", *arguments, settings=given)

    assert ended.code == 64
    assert words in ended.error


def test_a_missing_topic_is_a_configuration_error(given: GivenSettings) -> None:
    ended = run_command("verify", settings={**given, "kafka.topic": "nowhere"})

    assert ended.code == 78
    assert "The topic nowhere does not exist" in ended.error


def removed(kafka: Kafka, topic: str) -> None:
    """Remove all that the topic has, as its retention does."""
    with kafka.admin() as admin:
        admin.delete_records(
            {
                TopicPartition(topic, record.partition): record.offset + 1
                for record in kafka.read(topic)
            }
        )


@pytest.fixture
def narrow(given: dict[str, str], kafka: Kafka, topic: str) -> dict[str, str]:
    """Settings of a topic with one partition."""
    name = given["kafka.topic"] = f"{topic}-narrow"
    kafka.create_topic(name, partitions=1)
    kafka.create_topic(f"{name}-dlq", partitions=1)
    return given


def test_expired_messages_are_not_missing(
    narrow: dict[str, str], jobs: JobWriter, kafka: Kafka
) -> None:
    old, topic = jobs.add_past(*GOOD, ago=3600), narrow["kafka.topic"]
    new = jobs.add_past(*GOOD, ago=600)
    replay(narrow, "--job", old["id"], "--job", new["id"])
    kept = kafka.read(topic)[len(GOOD) :]
    removed(kafka, topic)
    written = datetime.now(timezone.utc) - timedelta(minutes=20)
    producer = KafkaProducer(bootstrap_servers=kafka.internal)
    for record in kept:
        producer.send(
            topic, record.value, record.key, timestamp_ms=int(written.timestamp() * 1000)
        ).get(30)
    producer.close()

    ended = run_command("verify", "--since", "2h", "--json", settings=narrow)

    assert ended.code == 0
    assert f"the topic {topic} has removed messages older than" in ended.err
    assert old["id"] not in ended.out

    ended = run_command("verify", "--from", "2h", "--to", "30m", "--json", settings=narrow)

    assert ended.code == 64
    assert (
        f"the topic {topic} has removed all messages up to " in ended.error
        and "Nothing was compared" in ended.error
    )
    assert ended.out == ""


def test_an_emptied_partition_is_still_compared(
    given: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    lost = jobs.add_past(*GOOD, ago=3600)
    replay(given, "--since", "2h")
    removed(kafka, topic)

    document = verify(given, "--since", "2h")

    assert (document["code"], counts(document)) == (75, {"transitions": 3, "missing": 3})
    assert lost["id"] in document["examples"]["missing"][0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "0s"),
        ("--since", "10s"),
        ("--from", "2099-01-01T00:00:00Z", "--to", "2099-01-02T00:00:00Z"),
    ],
)
def test_an_empty_span_is_refused(arguments: tuple[str, ...], given: dict[str, str]) -> None:
    given["verify.settle_seconds"] = "30"

    ended = run_command("verify", "--json", *arguments, settings=given)

    assert (ended.code, ended.out) == (64, "")
    assert "the last 30 seconds are left out (verify.settle_seconds)" in ended.error
    assert "Nothing was compared" in ended.error


def test_foreign_messages_in_the_topics_are_strange(
    given: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    jobs.add_past(*GOOD)
    replay(given, "--since", "1h")
    producer = KafkaProducer(bootstrap_servers=kafka.internal)
    for name in (topic, f"{topic}-dlq"):
        headers = [(NotUtf8("name"), b"")]
        producer.send(name, b"[" * 200_000, headers=headers, partition=0).get(30)
    producer.close()

    document = verify(given)

    assert (document["code"], counts(document)) == (
        75,
        {"transitions": 3, "messages": 4, "strange": 1, "set_aside": 1},
    )


def test_the_bar_counts_the_messages_that_are_read(given: GivenSettings, jobs: JobWriter) -> None:
    # Those of the margin before the span are read too.
    replay(given, "--job", jobs.add_past(*GOOD)["id"])
    since = datetime.now(timezone.utc).isoformat()
    replay(given, "--job", jobs.add_past(*GOOD)["id"])

    shown = on_a_terminal("verify", "--since", since, settings=given)

    assert re.findall(r"messages .*?(\d+)/(\d+)", shown)[-1] == ("6", "6")


def on_a_terminal(*arguments: str, settings: GivenSettings) -> str:
    """The output on standard error, if that is a terminal."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge", *arguments],
            env=environment(settings),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the error of a terminal that no process writes to any more
            while part := screen.read(4096):
                shown += part
    process.wait(30)
    assert_clean(shown.decode())
    return shown.decode()
