"""``replay``: publishes selected transitions again from the jobs' history."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import header, published_states, values
from tests.support.servers.kafka import Kafka


def test_a_job_is_sent_with_its_identities(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job, other = jobs.add_past(*GOOD), jobs.add_past(*GOOD)

    ended = run_command("replay", "--job", job["id"], settings=settings)

    assert (ended.code, ended.out) == (0, f"3 messages sent to {topic}\n")
    records = kafka.read(topic)
    assert (
        published_states(kafka, topic, job["id"]) == list(GOOD)
        and published_states(kafka, topic, other["id"]) == []
    )
    assert [value["trans_id"] for value in values(records)] == [
        element["trans_id"] for element in job["transition_times"]
    ]
    assert {header(record, "ce_origin") for record in records} == {b"replay"}


def test_a_time_is_that_of_the_transition(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job = jobs.add_past(*GOOD, ago=7200, every=3000)
    middle = job["transition_times"][1]["time"].isoformat()

    assert run_command("replay", "--from", middle, "--to", middle, settings=settings).code == 0
    assert published_states(kafka, topic, job["id"]) == [GOOD[1]]

    assert run_command("replay", "--since", "90m", settings=settings).code == 0
    assert published_states(kafka, topic, job["id"]) == [GOOD[1], GOOD[1], GOOD[2]]


def test_a_state_is_sent_alone_of_all_jobs(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    for _ in range(4):
        jobs.add_past(*GOOD)
    jobs.add_past(*GOOD[:-1])

    ended = run_command("replay", "--state", "complete", settings=settings)

    assert ended.out.startswith("4 messages sent")
    assert {value["state"] for value in values(kafka.read(topic))} == {"complete"}


def test_a_dry_run_prints_and_sends_nothing(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job = jobs.add_past(*GOOD)

    ended = run_command("replay", "--job", job["id"], "--dry-run", settings=settings)

    assert ended.code == 0
    assert [json.loads(line)["state"] for line in ended.out.splitlines()] == list(GOOD)
    assert "3 messages would be sent; nothing was sent" in ended.err
    assert kafka.read(topic) == []


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_last_line_is_the_json_summary(
    dry_run: bool, settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job_id = jobs.add_good()
    selection = ("--job", job_id, "--job", "unknown", *["--dry-run"][: int(dry_run)])

    ended = run_command("replay", *selection, "--json", settings=settings)

    *messages, summary = map(json.loads, ended.out.splitlines())
    assert summary == {
        "topic": topic,
        "dry_run": dry_run,
        "messages": 3,
        "dead_lettered": 0,
        "finished": True,
        "resume": "",
        "unsendable": 0,
        "examples": [],
        "unknown_jobs": ["unknown"],
    }
    assert len(messages) == (3 if dry_run else 0)
    assert ended.code == json.loads(ended.err)["exit_code"] == 66
    assert len(kafka.read(topic)) == (0 if dry_run else 3)


@pytest.fixture
def odd_jobs(jobs: JobWriter) -> list[str]:
    """A job with a message too large, and one whose only transition has an integer state."""
    return [jobs.add_past("created", "x" * 2_000_000)["id"], jobs.add_past(7)["id"]]


def test_only_what_the_topic_has_counts_as_sent(
    odd_jobs: list[str], settings: GivenSettings, kafka: Kafka, topic: str
) -> None:
    ended = run_command("replay", "--since", "1h", settings=settings)

    assert (ended.code, ended.out) == (75, f"1 messages sent to {topic}\n")
    assert f"1 transition(s) were dead-lettered to {topic}-dlq" in ended.err
    assert f"job {odd_jobs[1]}: a transition cannot be sent: the state is int" in ended.err
    assert len(kafka.read(topic)) == len(kafka.read(f"{topic}-dlq")) == 1

    ended = run_command("replay", "--since", "1h", "--json", settings=settings)

    document = json.loads(ended.out)
    assert (ended.code, document["messages"]) == (75, 1)
    assert (document["dead_lettered"], document["unsendable"]) == (1, 1)
    (example,) = document["examples"]
    assert example["job_id"] == odd_jobs[1] and "the state is int" in example["reason"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_job_without_sendable_transitions_has_some(
    dry_run: bool, odd_jobs: list[str], settings: GivenSettings, kafka: Kafka, topic: str
) -> None:
    options = ["--dry-run"][: int(dry_run)]

    ended = run_command("replay", "--job", odd_jobs[1], *options, settings=settings)

    assert ended.code == 75
    assert "exist without one" not in ended.err and "the state is int, not text" in ended.err
    # The bridge wrote its dead letter when it read the transition.
    assert kafka.read(topic) == kafka.read(f"{topic}-dlq") == []


def test_another_topic_gets_them_instead(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    kafka.create_topic(f"{topic}-other")
    job = jobs.add_past(*GOOD)

    assert (
        run_command(
            "replay", "--job", job["id"], "--topic", f"{topic}-other", settings=settings
        ).code
        == 0
    )

    assert kafka.read(topic) == []
    assert published_states(kafka, f"{topic}-other", job["id"]) == list(GOOD)


def test_a_rate_is_kept(settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str) -> None:
    for _ in range(10):
        jobs.add_past("created")
    began = time.monotonic()

    assert run_command("replay", "--since", "1h", "--rate", "5", settings=settings).code == 0

    assert time.monotonic() - began > 10 / 5 - 0.5
    assert len(kafka.read(topic)) == 10


def test_an_end_alone_means_from_the_start(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job, other = jobs.add_past(*GOOD, ago=7200, every=3000), jobs.add_past(*GOOD, ago=7200)

    assert run_command("replay", "--job", job["id"], "--to", "1h", settings=settings).code == 0
    assert published_states(kafka, topic, job["id"]) == list(GOOD[:2])

    assert run_command("replay", "--to", "1h", settings=settings).code == 0
    assert published_states(kafka, topic, other["id"]) == list(GOOD)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing is selected"),
        *(
            (("--since", "1h", "--rate", rate), "is not a possible number of jobs per second")
            for rate in ("nan", "inf", "1e-320")
        ),
        (
            ("--since", "1h", "--topic", "a b"),
            "--topic: Illegal character ' ' at position 2 of the Kafka topic: letters, digits",
        ),
        (
            ("--from", "2026-03-02T18:00:00"),
            "has no zone: write 2026-03-02T18:00:00+00:00 for UTC, or ",
        ),
        (("--since", "1h", "--topic", "a:b"), "Illegal character ':' at position 2"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: tuple[str, ...], words: str, settings: GivenSettings
) -> None:
    ended = run_command("replay", *arguments, settings=settings)

    assert ended.code == 64
    assert words in ended.error and "pydantic" not in ended.error


@pytest.mark.parametrize("dry", [False, True])
def test_unknown_jobs_are_named_and_others_sent(
    dry: bool, settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job = jobs.add_past(*GOOD)
    options = ["--job", "nobody", "--job", job["id"], "--job", "no one"]

    ended = run_command("replay", *options, *["--dry-run"][: int(dry)], settings=settings)

    assert ended.code == 66
    assert "these 2 jobs do not exist in " in ended.err
    assert ": nobody, no one. The other jobs have 3 matching transitions" in ended.err
    assert published_states(kafka, topic, job["id"]) == ([] if dry else list(GOOD))


@pytest.mark.parametrize("options", [("--since", "1m"), ("--state", "unheard")])
def test_a_replay_without_transitions_is_not_a_success(
    options: tuple[str, ...], settings: GivenSettings, jobs: JobWriter
) -> None:
    job = jobs.add_past(*GOOD)

    for selection in (options, (*options, "--job", job["id"])):
        ended = run_command("replay", *selection, settings=settings)

        assert ended.code == 66
        assert "no transition matches" in ended.error and "Nothing was sent" in ended.error
