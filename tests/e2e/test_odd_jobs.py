"""Odd jobs: valid transitions are sent, others are dead-lettered, and the next job arrives."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timezone

import bson
import pytest
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from tests.e2e.conftest import MakeBridge
from tests.support.bridge_process import BridgeProcess
from tests.support.job_writer import GOOD, MIDNIGHT, Document, JobWriter, transition
from tests.support.messages import dead_letters, header, published_states, values
from tests.support.servers.kafka import Kafka

#: A write, the reason of its dead letter, and fields of the dead letter.
Poison = tuple[Callable[[JobWriter], object], str, Document]
FAR = DatetimeMS(2**60)

POISON: dict[str, Poison] = {
    "no id": (
        lambda jobs: jobs.add(id=None),
        "the job id is missing",
        {"job_id": "", "state": "created"},
    ),
    "an empty id": (
        lambda jobs: jobs.add(id=""),
        "the job id is empty",
        {"job_id": "", "state": "created"},
    ),
    "a number for an id": (
        lambda jobs: jobs.add(id=17),
        "the job id is int, not text",
        {"job_id": "17"},
    ),
    "a document for an id": (
        lambda jobs: jobs.add(id={"a": 1}),
        "the job id is dict, not text",
        {},
    ),
    "a text for a time": (
        lambda jobs: jobs.add(id="odd", first=transition("created", time="noon")),
        "the time is str, not a date",
        {"job_id": "odd", "state": "created", "time": "noon"},
    ),
    "no time": (
        lambda jobs: jobs.add(id="odd", first=transition("created", time=None)),
        "the time is missing",
        {"job_id": "odd", "time": ""},
    ),
    "a date beyond all calendars": (
        lambda jobs: jobs.add(id="odd", first=transition("created", time=FAR)),
        "the time is DatetimeMS, not a date",
        {},
    ),
    "a number for a state": (
        lambda jobs: jobs.add(id="odd", first=transition(5)),
        "the state is int, not text",
        {"state": "5"},
    ),
    "no state": (
        lambda jobs: jobs.add(id="odd", first=transition(None)),
        "the state is missing",
        {"state": ""},
    ),
    "a transition that is a text": (
        lambda jobs: jobs.add(id="odd", transition_times=["created"]),
        "the state is missing",
        {"job_id": "odd"},
    ),
}


def then_a_good_job(
    bridge: BridgeProcess, jobs: JobWriter, kafka: Kafka, topic: str, *, before: int = 0
) -> None:
    """Write a good job and wait until it has arrived after ``before`` other messages."""
    job_id = jobs.add_good()
    bridge.wait_acked(before + len(GOOD))
    assert published_states(kafka, topic, job_id) == list(GOOD)
    assert bridge.ready()


@pytest.mark.parametrize("case", POISON)
def test_odd_jobs_are_dead_lettered_with_the_reason(
    case: str, start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    write, reason, kept = POISON[case]
    with start() as bridge:
        bridge.wait_ready()
        write(jobs)
        then_a_good_job(bridge, jobs, kafka, topic, before=1)

        assert bridge.metrics()["job_bridge_messages_dead_lettered_total"] == 1
        line = next(line for line in bridge.lines() if "dead-lettered to" in line["message"])
    [letter] = dead_letters(kafka, topic)
    assert letter["error_dlq"].startswith(f"{reason}; document _id ")
    assert kept.items() <= letter.items()
    assert line["level"] == "WARNING" and line["reason"] == letter["error_dlq"]
    assert len(kafka.read(topic)) == len(GOOD)


def test_an_unknown_state_passes_through(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add()
        jobs.move(job_id, "on the moon ☾")
        then_a_good_job(bridge, jobs, kafka, topic, before=2)

    assert published_states(kafka, topic, job_id) == ["created", "on the moon ☾"]
    assert dead_letters(kafka, topic) == []


def test_a_made_identity_is_the_same_each_time(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str, settings: dict[str, str]
) -> None:
    since = datetime.now(timezone.utc).isoformat()
    with start(start__from=since) as bridge:
        bridge.wait_ready()
        job_id = jobs.add(first=transition("created", trans_id=None))
        jobs.move(job_id, "complete", trans_id=None)
        then_a_good_job(bridge, jobs, kafka, topic, before=2)
    second = f"{settings['checkpoint.name']}-2"
    with start(start__from=since, checkpoint__name=second, kafka__read_back="off") as bridge:
        bridge.wait_acked(2 + len(GOOD))

    sent = [record for record in kafka.read(topic) if record.key == job_id.encode()]
    identities = [value["trans_id"] for value in values(sent)]
    assert len(identities) == 4 and identities[:2] == identities[2:]
    assert len(set(identities)) == 2 and all(
        uuid.UUID(identity).version == 5 for identity in identities
    )
    assert [header(record, "ce_id") for record in sent] == [
        identity.encode() for identity in identities
    ]


def test_a_rewritten_history_gives_what_is_new(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    history = [
        transition(state, minute)
        for minute, state in enumerate(("created", "job_submitted", "error"))
    ]
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add(first=history[0])
        jobs.update(job_id, {"$set": {"transition_times": history, "state": "error"}})
        then_a_good_job(bridge, jobs, kafka, topic, before=3)

    mine = [value for value in values(kafka.read(topic)) if value["job_id"] == job_id]
    assert [value["trans_id"] for value in mine] == [element["trans_id"] for element in history]


def test_a_history_emptied_sends_nothing(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add()
        jobs.update(job_id, {"$set": {"transition_times": []}})
        jobs.add(id="empty", transition_times=[])
        jobs.add(id="none", transition_times=None)
        then_a_good_job(bridge, jobs, kafka, topic, before=1)

    assert len(kafka.read(topic)) == 1 + len(GOOD)
    assert dead_letters(kafka, topic) == []


def test_a_history_that_is_text_is_dead_lettered(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        jobs.add(id="text", transition_times="created")
        then_a_good_job(bridge, jobs, kafka, topic, before=1)

    [letter] = dead_letters(kafka, topic)
    assert "its history is of type string, not an array" in letter["error_dlq"]


def test_two_transitions_in_one_write_arrive_in_order(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add()
        both = [transition("job_submitted", 1), transition("complete", 2)]
        jobs.update(job_id, {"$push": {"transition_times": {"$each": both}}})
        then_a_good_job(bridge, jobs, kafka, topic, before=3)

    assert published_states(kafka, topic, job_id) == ["created", "job_submitted", "complete"]


def test_a_job_with_many_input_files_is_sent(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    files = [{"file": f"{n:0160}", "data_id": str(uuid.uuid4())} for n in range(10_000)]
    job_input = {"cluster": "kbase", "input_files": files}
    assert len(bson.encode(job_input)) > 2_000_000
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add(job_input=job_input)
        jobs.move(job_id, "complete")
        jobs.update(job_id, {"$set": {"outputs": files}})
        then_a_good_job(bridge, jobs, kafka, topic, before=2)

    sent = [record for record in kafka.read(topic) if record.key == job_id.encode()]
    assert [value["state"] for value in values(sent)] == ["created", "complete"]
    assert all(len(record.value or b"") < 300 for record in sent)


def test_a_state_not_in_utf8_is_dead_lettered(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    first = transition("bad-xx-utf8")
    job = {"_id": bson.ObjectId(), "id": "bytes", "state": "x", "transition_times": [first]}
    raw = bson.encode(job).replace(b"bad-xx-utf8", b"bad-\xff\xfe-utf8")
    with start() as bridge:
        bridge.wait_ready()
        jobs.collection.insert_one(RawBSONDocument(raw))
        then_a_good_job(bridge, jobs, kafka, topic, before=1)

    [letter] = dead_letters(kafka, topic)
    assert letter["error_dlq"].startswith("the state is not UTF-8; document _id ")
    assert (letter["job_id"], letter["state"]) == ("bytes", "bad-\\xff\\xfe-utf8")


def test_names_and_values_of_any_script_travel_unharmed(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add(id="Auftrag-ß-工作-\U0001f680")
        jobs.update(job_id, {"$set": {"naïve ключ": 1, "工作.状态": "x", "admin_meta.état": "y"}})
        jobs.move(job_id, "готово")
        then_a_good_job(bridge, jobs, kafka, topic, before=2)

    sent = [record for record in kafka.read(topic) if record.key == job_id.encode()]
    assert [value["state"] for value in values(sent)] == ["created", "готово"]
    assert [value["job_id"] for value in values(sent)] == [job_id, job_id]
    assert {header(record, "ce_subject") for record in sent} == {job_id.encode()}
    assert all((record.value or b"").isascii() for record in sent)


def test_other_writes_to_a_job_are_not_sent(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add()
        for change in (
            {"transition_times.0.notif_sent": True},
            {"transition_times.0._retry": 3},
            {"cleaned": True},
            {"admin_meta.state": "error"},
            {"admin_meta.transition_times.9": transition("error")},
            {"admin_meta": {"transition_times": [transition("error")], "state": "error"}},
            {"_update_time": datetime.now(timezone.utc)},
            {"outputs": [{"state": "error"}]},
            {"state": "error"},
        ):
            jobs.update(job_id, {"$set": change})
        then_a_good_job(bridge, jobs, kafka, topic, before=1)

    assert published_states(kafka, topic, job_id) == ["created"]
    assert len(kafka.read(topic)) == 1 + len(GOOD)
    assert dead_letters(kafka, topic) == []


def test_numbers_of_any_kind_do_no_harm(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add(
            _update_time=float("nan"),
            _retry=Int64(2**62),
            extra=bson.Decimal128("1E+6000"),
            far=FAR,
        )
        jobs.move(job_id, "complete")
        then_a_good_job(bridge, jobs, kafka, topic, before=2)

    assert published_states(kafka, topic, job_id) == ["created", "complete"]
    assert values([record for record in kafka.read(topic) if record.key == job_id.encode()])[0][
        "time"
    ].startswith(MIDNIGHT.isoformat()[:16])
