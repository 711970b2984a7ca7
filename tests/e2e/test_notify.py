"""``notify``: the message is acknowledged, or the error names the job."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone

import pytest

from bridge.demo.servers.process import free_port
from tests.support.command import EndedCommand, GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import header, values
from tests.support.servers.kafka import Kafka

DRIVERS = ("kafka-python", "librdkafka")
NOW = datetime(2026, 3, 2, 20, 31, 2, 511_273, tzinfo=timezone.utc)


def test_the_latest_transition_is_sent_with_its_identity(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job = jobs.add_past(*GOOD)

    ended = run_command("notify", job["id"], settings=settings)

    assert ended.code == 0
    (record,) = kafka.read(topic)
    (value,) = values([record])
    assert (value["state"], value["trans_id"]) == (
        "complete",
        job["transition_times"][-1]["trans_id"],
    )
    assert header(record, "ce_origin") == b"notify" and record.key == job["id"].encode()
    assert value["trans_id"] in ended.out


def test_a_state_means_its_latest_transition(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job = jobs.add_past("created", "running", "created", "complete")

    assert run_command("notify", job["id"], "--state", "created", settings=settings).code == 0

    assert values(kafka.read(topic))[0]["trans_id"] == job["transition_times"][2]["trans_id"]


def test_an_unknown_job_or_state_is_refused(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job = jobs.add_past(*GOOD)

    unknown = run_command("notify", "nobody", settings=settings)
    never = run_command("notify", job["id"], "--state", "lost", settings=settings)

    assert unknown.code == never.code == 66
    assert "there is no job nobody" in unknown.error
    assert "has no transition to lost" in never.error and "complete" in never.error
    assert kafka.read(topic) == []


def test_the_command_fails_without_an_acknowledgement(
    settings: GivenSettings, jobs: JobWriter
) -> None:
    job = jobs.add_past(*GOOD)

    ended = run_command(
        "notify",
        job["id"],
        settings={**settings, "kafka.bootstrap_servers": f"127.0.0.1:{free_port()}"},
    )

    assert_unsent(ended, job["id"])


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_command_fails_within_its_timeout(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str, driver: str
) -> None:
    job = jobs.add_past(*GOOD)
    hasty = {**settings, "delivery.send_timeout_seconds": "1", "kafka.driver": driver}
    kafka.pause()
    try:
        began = time.monotonic()
        ended = run_command("notify", job["id"], settings=hasty)
        # Beside it, the start of the program; the clients alone would look for 10 s and more.
        assert time.monotonic() - began < 9
    finally:
        kafka.resume()

    assert_unsent(ended, job["id"])


def assert_unsent(ended: EndedCommand, job_id: str) -> None:
    """The command failed with "try again", and its error promises nothing a bridge would do."""
    assert ended.code == 75
    assert f"Job {job_id}, state complete: " in ended.error and re.search(
        "Kafka refuses connections at|no answer from", ended.error
    )
    assert "Nothing was sent. Check bootstrap_servers" in ended.error
    assert "by itself" not in ended.error and "next start" not in ended.error


def test_a_message_too_large_is_not_temporary(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job = jobs.add_past("created", "x" * 2_000_000)

    ended = run_command("notify", job["id"], settings=settings)

    assert ended.code == 82
    assert "sending it again cannot succeed" in ended.error and "try again" not in ended.error
    assert kafka.read(topic) == []


def test_an_invalid_latest_transition_has_no_substitute(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    """An older transition is not sent instead."""
    job = jobs.add_past("created", "running", "created")
    jobs.move(job["id"], "running", time="yesterday")

    latest = run_command("notify", job["id"], settings=settings)
    running = run_command("notify", job["id"], "--state", "running", settings=settings)

    assert latest.code == running.code == 64
    assert (
        "the latest transition of job" in latest.error
        and "the time is str, not a date" in latest.error
    )
    assert (
        "the latest transition to running of job" in running.error
        and "the time is str, not a date" in running.error
    )
    assert kafka.read(topic) == []
    assert run_command("notify", job["id"], "--state", "created", settings=settings).code == 0
