"""``verify --repair``: sends the missing transitions."""

from __future__ import annotations

import json

import pytest

from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import dead_letters, header, published_states
from tests.support.servers.kafka import Kafka
from tests.support.verification_results import counts, replay, verify


@pytest.fixture
def given(settings: GivenSettings) -> dict[str, str]:
    return {**settings, "verify.settle_seconds": "0"}


def test_missing_transitions_are_named_and_repaired_in_order(
    given: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    whole, half, none = (jobs.add_past(*GOOD) for _ in range(3))
    replay(given, "--job", whole["id"])
    replay(given, "--job", half["id"], "--state", "created")

    document = verify(given)
    assert (document["code"], counts(document)) == (
        75,
        {"transitions": 9, "messages": 4, "missing": 5},
    )
    named = " ".join(document["examples"]["missing"])
    assert half["id"] in named and none["id"] in named and whole["id"] not in named
    assert len(kafka.read(topic)) == 4

    document = verify(given, "--repair")

    assert (document["code"], document["repaired"], counts(document)) == (
        0,
        5,
        {"transitions": 9, "messages": 9},
    )
    assert (
        published_states(kafka, topic, half["id"])
        == published_states(kafka, topic, none["id"])
        == list(GOOD)
    )
    assert {header(record, "ce_origin") for record in kafka.read(topic)} == {b"replay"}


def test_a_repair_reports_as_json_and_as_text(given: GivenSettings, jobs: JobWriter) -> None:
    jobs.add_past(*GOOD)
    ended = run_command("verify", "--repair", "--json", settings=given)
    assert ended.code == 0
    assert {"missing": 0, "repaired": 3}.items() <= json.loads(ended.out).items()

    jobs.add_past(*GOOD)
    ended = run_command("verify", "--repair", settings=given)
    assert ended.code == 0
    assert [line.split()[1] for line in ended.out.splitlines() if "  missing " in line] == [
        "3",
        "0",
    ]
    assert "3 missing transitions were sent; after that:" in ended.out
    assert "sends the missing transitions" not in ended.out


def test_an_invalid_missing_transition_becomes_a_dead_letter(
    given: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job = jobs.add_past(*GOOD)
    jobs.collection.update_one({"id": job["id"]}, {"$set": {"transition_times.1.state": 7}})
    assert run_command("replay", "--job", job["id"], settings=given).code == 75

    document = verify(given)
    assert (document["code"], counts(document)) == (
        75,
        {"transitions": 3, "messages": 2, "missing": 1},
    )

    document = verify(given, "--repair")
    assert (document["code"], counts(document)) == (
        0,
        {"transitions": 3, "messages": 2, "set_aside": 1},
    )
    assert document["repaired"] == 0
    assert [letter["error_dlq"].partition(";")[0] for letter in dead_letters(kafka, topic)] == [
        "the state is int, not text"
    ]
