"""``dead-letters``: listed, shown, and sent again when the cause is mended."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import MakeBridge
from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import JobWriter, sequence_at, transition
from tests.support.messages import dead_letters, header, published_states, values
from tests.support.servers.kafka import Kafka

HUGE = "x" * 2_000_000


@pytest.fixture
def letters(start: MakeBridge, jobs: JobWriter) -> tuple[str, str]:
    """Two jobs with a dead letter each: an oversized message, a transition without a time."""
    with start() as bridge:
        bridge.wait_ready()
        large, timeless = jobs.add(), jobs.add()
        jobs.move(large, HUGE, trans_id="the-huge-one")
        jobs.move(timeless, "running", time=None, trans_id="the-timeless-one")
        bridge.wait_acked(4)
        assert bridge.stop() == 0
    return large, timeless


def listed(settings: GivenSettings, *arguments: str) -> list[dict[str, str]]:
    ended = run_command("dead-letters", "list", "--json", *arguments, settings=settings)
    assert ended.code == 0
    return [json.loads(line) for line in ended.out.splitlines()]


def test_they_are_listed_with_place_and_reason(
    letters: tuple[str, str], settings: GivenSettings
) -> None:
    listing = listed(settings)

    assert [letter["job_id"] for letter in listing] == list(letters)
    assert [letter["place"] for letter in listing] == ["0:0", "0:1"]
    assert (
        "more than topic" in listing[0]["error_dlq"]
        and "the time is missing" in listing[1]["error_dlq"]
    )
    lines = run_command("dead-letters", "list", settings=settings).out.splitlines()
    assert (
        len(lines) == 3
        and lines[0].split() == ["PLACE", "WRITTEN", "JOB", "REASON", "STATE"]
        and lines[2].startswith("0:1 ")
        and letters[1] in lines[2]
        and "the time is missing" in lines[2]
    )
    assert listed(settings, "--since", "1h") == listing


def test_what_a_job_holds_moves_no_cursor(
    start: MakeBridge, settings: GivenSettings, jobs: JobWriter
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        jobs.move(jobs.add(), "run\x1b[2Jning\nnext", time=None)
        bridge.wait_acked(2)
        assert bridge.stop() == 0

    listing = run_command("dead-letters", "list", settings=settings)

    assert listing.out.count("\n") == 2 and r" run\x1b[2Jning next" in listing.out
    assert [letter["state"] for letter in listed(settings)] == ["run\x1b[2Jning\nnext"]


def test_one_is_shown_whole(letters: tuple[str, str], settings: GivenSettings) -> None:
    ended = run_command("dead-letters", "show", "0:1", settings=settings)

    shown = json.loads(ended.out)
    assert (ended.code, shown["job_id"], shown["trans_id"]) == (0, letters[1], "the-timeless-one")
    assert shown["headers"]["ce_subject"] == letters[1]


def test_a_repaired_dead_letter_keeps_its_identity(
    letters: tuple[str, str], settings: GivenSettings, kafka: Kafka, topic: str, jobs: JobWriter
) -> None:
    kafka.alter_topic(topic, max_message_bytes=4_000_000)

    ended = run_command("dead-letters", "retry", "0:0", settings=settings)

    assert (ended.code, ended.out) == (0, f"1 of 1 transition(s) sent to {topic}\n")
    record = next(record for record in kafka.read(topic) if header(record, "ce_origin") == b"retry")
    (value,) = values([record])
    # Whole, as the job has it, not shortened as in the letter.
    assert (value["job_id"], value["state"], value["trans_id"]) == (
        letters[0],
        HUGE,
        "the-huge-one",
    )
    assert header(record, "ce_id") == b"the-huge-one"
    assert header(record, "ce_sequence") == b"%d" % sequence_at(1)
    assert len(dead_letters(kafka, topic)) == 2


def test_an_unrepaired_dead_letter_stays_one(
    letters: tuple[str, str], settings: GivenSettings, kafka: Kafka, topic: str, jobs: JobWriter
) -> None:
    ended = run_command("dead-letters", "retry", "--all", settings=settings)

    assert ended.code == 75
    assert "0:1: still cannot be sent: the time is missing" in ended.err
    assert "0:0: still cannot be sent: the message has 20" in ended.err
    assert published_states(kafka, topic, letters[0]) == ["created"]

    jobs.update(
        letters[1],
        {"$set": {"transition_times.1": transition("running", 1, trans_id="the-timeless-one")}},
    )
    assert run_command("dead-letters", "retry", "0:1", settings=settings).code == 0
    assert published_states(kafka, topic, letters[1]) == ["created", "running"]


def test_a_dry_run_of_a_retry_sends_nothing(
    letters: tuple[str, str], settings: GivenSettings, kafka: Kafka, topic: str
) -> None:
    before = len(kafka.read(topic))

    ended = run_command("dead-letters", "retry", "--all", "--dry-run", "--json", settings=settings)

    message, summary = map(json.loads, ended.out.splitlines())
    assert (ended.code, message["trans_id"]) == (75, "the-huge-one")
    assert (summary["transitions"], summary["sent"], summary["dry_run"]) == (2, 0, True)
    assert [letter["place"] for letter in summary["unsendable"]] == ["0:1"]
    assert len(kafka.read(topic)) == before


def test_repeated_retries_send_one_transition(
    letters: tuple[str, str], settings: GivenSettings, kafka: Kafka, topic: str
) -> None:
    for _ in range(2):
        assert run_command("dead-letters", "retry", "--all", settings=settings).code == 75
        assert len(dead_letters(kafka, topic)) == len(letters)
    kafka.alter_topic(topic, max_message_bytes=4_000_000)

    ended = run_command("dead-letters", "retry", "--all", settings=settings)

    assert f"1 of 2 transition(s) sent to {topic}\n" in ended.out
    assert published_states(kafka, topic, letters[0]) == ["created", HUGE]


def test_a_dead_letter_without_a_job_names_replay(
    start: MakeBridge, settings: GivenSettings, jobs: JobWriter
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        jobs.add(id=None)
        bridge.wait_acked(1)
        assert bridge.stop() == 0

    ended = run_command("dead-letters", "retry", "--all", settings=settings)

    assert ended.code == 75
    assert "'job-bridge replay --job ID' sends it" in ended.err


def test_a_deleted_job_is_resent_from_its_letter(
    start: MakeBridge, settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    kafka.alter_topic(topic, max_message_bytes=300)
    with start(kafka__headers="none") as bridge:
        bridge.wait_ready()
        job_id = jobs.add()
        jobs.move(job_id, "s" * 200, trans_id="the-large-one")
        bridge.wait_acked(2)
        assert bridge.stop() == 0
    jobs.collection.delete_many({})
    kafka.alter_topic(topic, max_message_bytes=4_000)

    assert run_command("dead-letters", "retry", "0:0", settings=settings).code == 0

    assert published_states(kafka, topic, job_id) == ["created", "s" * 200]


def test_values_that_were_not_text_stay_unsent(
    start: MakeBridge, settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        jobs.add(id=7)
        bridge.wait_acked(1)
        assert bridge.stop() == 0

    ended = run_command("dead-letters", "retry", "--all", settings=settings)

    assert ended.code == 75
    assert "0:0: still cannot be sent: the job id is int, not text" in ended.err
    assert kafka.read(topic) == []


def test_nor_is_what_the_letter_has_shortened(
    start: MakeBridge, settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    kafka.alter_topic(topic, max_message_bytes=1_000)
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add()
        jobs.move(job_id, "running", trans_id="t" * 1_000)
        bridge.wait_acked(2)
        assert bridge.stop() == 0
    jobs.collection.delete_many({})
    kafka.alter_topic(topic, max_message_bytes=4_000)

    assert run_command("dead-letters", "retry", "--all", settings=settings).code == 75

    assert published_states(kafka, topic, job_id) == ["created"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("retry",), 64),
        (("retry", "0:0", "--all"), 64),
        (("retry", "0;0"), 64),
        (("retry", "0:99"), 66),
        (("show", "9:9"), 66),
        (("show", "9:9", "--json"), 66),
    ],
)
def test_what_is_not_there_or_unclear_is_refused(
    arguments: tuple[str, ...],
    code: int,
    settings: GivenSettings,
    jobs: JobWriter,
    kafka: Kafka,
    topic: str,
) -> None:
    """As for a job of 'replay' and 'notify': 66 is for what does not exist."""
    ended = run_command("dead-letters", *arguments, settings=settings)

    assert ended.code == code
    assert kafka.read(topic) == []


def test_none_is_said(settings: GivenSettings, jobs: JobWriter) -> None:
    ended = run_command("dead-letters", "list", settings=settings)

    assert (ended.code, ended.out) == (0, "")
    assert "no dead letters" in ended.err
