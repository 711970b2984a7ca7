"""Commands that name a job, with each type of ``_id``; texts that are not UTF-8 stop none."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import MakeBridge
from tests.support.command import GivenSettings, run_command
from tests.support.document_ids import BY_DOCUMENT_ID, USABLE, raw_document, raw_text
from tests.support.job_writer import GOOD, JobWriter, transition
from tests.support.messages import dead_letters, published_states, values
from tests.support.servers.kafka import Kafka
from tests.support.sweeps import sweep_once

ODD = raw_text(b"a\xff")


@pytest.fixture
def settings(settings: dict[str, str]) -> dict[str, str]:
    return {**settings, **BY_DOCUMENT_ID}


@pytest.fixture
def added(jobs: JobWriter) -> JobWriter:
    """The collection with a job of each type of ``_id``."""
    for document_id in USABLE.values():
        jobs.add_past(*GOOD, _id=document_id)
    return jobs


def test_replay_finds_each_type(
    settings: GivenSettings, added: JobWriter, kafka: Kafka, topic: str
) -> None:
    chosen = [f"--job={text}" for text in USABLE]

    ended = run_command("replay", *chosen, settings=settings)

    assert (ended.code, ended.out) == (0, f"{3 * len(USABLE)} messages sent to {topic}\n")
    for text in USABLE:
        assert published_states(kafka, topic, text) == list(GOOD)


def test_notify_finds_each_type(
    settings: GivenSettings, added: JobWriter, kafka: Kafka, topic: str
) -> None:
    for text in USABLE:
        assert run_command("notify", "--", text, settings=settings).code == 0

    assert sorted(value["job_id"] for value in values(kafka.read(topic))) == sorted(USABLE)

    added.add_past(*GOOD, _id="7")
    refused = run_command("notify", "7", settings=settings)
    assert refused.code == 64 and "2 jobs in " in refused.error


@pytest.mark.parametrize("mode", ["transition", "job"])
def test_a_sweep_untags_each_type(
    settings: GivenSettings, added: JobWriter, kafka: Kafka, topic: str, mode: str
) -> None:
    added.collection.update_many({}, {"$set": {"unsent": True}})
    chosen = {"delivery.mode": f"background-{mode}s", "sweep.job_tag": "unsent"}

    count = sweep_once({**settings, **chosen})

    assert count == len(USABLE) * (len(GOOD) if mode == "transition" else 1)
    assert {value["job_id"] for value in values(kafka.read(topic))} == USABLE.keys()
    left = {"transition_times.notif_sent": False} if mode == "transition" else {"unsent": True}
    assert added.collection.count_documents(left) == 0


def test_odd_texts_stop_nothing(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str, start: MakeBridge
) -> None:
    """Neither the stream, the log, ``verify`` nor a command that names such a job."""
    elements = [transition(ODD), transition("created", trans_id=ODD), transition("created")]
    odd_job = {"state": ODD, "transition_times": elements[:2]}
    with start() as bridge:
        bridge.wait_ready()
        for document_id, history in ((ODD, elements[2:]), ("odd", elements[:2])):
            document = {"_id": document_id, **odd_job, "transition_times": history}
            jobs.collection.insert_one(raw_document(document))
        jobs.collection.delete_one(raw_document({"_id": ODD}))
        jobs.add_past(*GOOD, _id="good")
        bridge.wait_acked(3 + len(GOOD))

    letters = dead_letters(kafka, topic)
    assert [letter["error_dlq"].partition(";")[0] for letter in letters] == [
        r"the job id is not UTF-8: a\xff",
        "the state is not UTF-8",
        "the trans_id is not UTF-8",
    ]
    assert [letter["state"] for letter in letters] == ["created", r"a\xff", "created"]
    assert published_states(kafka, topic, "good") == list(GOOD)
    listed = run_command("dead-letters", "list", settings=settings)
    _, *rows = listed.out.splitlines()
    assert listed.code == 0 and len(rows) == 3
    verified = run_command("verify", "--json", "--since", "1h", settings=settings)
    assert json.loads(verified.out)["missing"] == 0
    assert run_command("replay", "--job", ODD, settings=settings).code == 64
