"""``dead-letters``: letters that a test writes, of any age, and of an older version."""

from __future__ import annotations

import json
import time

from kafka import KafkaProducer

from bridge.model.transition import made_trans_id
from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import JobWriter, sequence_at, transition
from tests.support.messages import header, values
from tests.support.servers.kafka import Kafka


def listed(settings: GivenSettings, *arguments: str) -> list[dict[str, str]]:
    ended = run_command("dead-letters", "list", "--json", *arguments, settings=settings)
    assert ended.code == 0
    return [json.loads(line) for line in ended.out.splitlines()]


def write_letter(
    kafka: Kafka, topic: str, fields: dict[str, str], number: int, age: float = 0
) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    headers = [("ce_sequence", b"%d" % number)]
    moment = int((time.time() - age) * 1000)
    producer.send(topic, json.dumps(fields).encode(), headers=headers, timestamp_ms=moment).get(60)
    producer.close()


def test_letters_of_recovered_jobs_are_sent(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    """Letters of an older version, with an index that the job has used again since."""
    history = [transition("created"), transition("error", 1, trans_id=None)]
    again = [transition("created", 2), transition("error", 3, trans_id=None)]
    recovered = jobs.add(trans_history=history, transition_times=again, state="error")
    old = jobs.add(transition_times=history[:1] + again[1:], state="error")
    for job_id, element in ((recovered, history[1]), (old, again[1])):
        fields = {
            "job_id": job_id,
            "state": "error",
            "time": element["time"].isoformat(),
            "trans_id": made_trans_id(job_id, "1", "error"),
            "error_dlq": "the message has 2000 bytes",
        }
        write_letter(kafka, f"{topic}-dlq", fields, number=1)

    ended = run_command("dead-letters", "retry", "--all", settings=settings)

    assert (ended.code, ended.out) == (0, f"2 of 2 transition(s) sent to {topic}\n")
    sent = {value["job_id"]: value for value in values(kafka.read(topic))}
    numbers = {
        (record.key or b"").decode(): header(record, "ce_sequence") for record in kafka.read(topic)
    }
    for job_id, minute in ((recovered, 1), (old, 3)):
        sequence = sequence_at(minute)
        assert numbers[job_id] == b"%d" % sequence
        time = sent[job_id]["time"]
        assert sent[job_id]["trans_id"] == made_trans_id(job_id, time, "error", sequence)


def test_older_letters_are_not_listed(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    """Also where they follow newer ones; and a long state does not move the reason."""
    fields = {"job_id": "new", "state": "s" * 500, "error_dlq": "too large"}
    write_letter(kafka, f"{topic}-dlq", fields, number=1)
    write_letter(kafka, f"{topic}-dlq", {"job_id": "old"}, number=2, age=7200)

    assert [letter["job_id"] for letter in listed(settings, "--since", "1h")] == ["new"]
    headers, row = run_command(
        "dead-letters", "list", "--since", "1h", settings=settings
    ).out.splitlines()
    assert row.index("too large") == headers.index("REASON")
    assert row.endswith("s" * 500)
