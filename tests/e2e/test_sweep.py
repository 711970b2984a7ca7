"""``sweep``: tagged jobs and transitions are sent and untagged, also by two sweeps at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.demo.servers.process import poll
from tests.support.command import ROOT, GivenSettings, environment, run_command
from tests.support.job_writer import GOOD, Document, JobWriter, transition
from tests.support.messages import dead_letters, header, published_states, values
from tests.support.servers.kafka import Kafka
from tests.support.sweeps import TAG, sweep_once


def unsent(jobs: JobWriter) -> list[str]:
    return [
        element["state"]
        for job in jobs.collection.find()
        for element in job["transition_times"]
        if element.get("notif_sent") is False
    ]


def unsent_jobs(jobs: JobWriter) -> list[str]:
    return [job["id"] for job in jobs.collection.find({"transition_times.notif_sent": False})]


def sent_already(job: Document, *numbers: int) -> Document:
    """The same history with some transitions sent."""
    return {
        "transition_times": [
            element | {"notif_sent": n in numbers}
            for n, element in enumerate(job["transition_times"])
        ],
    }


def test_old_unsent_transitions_are_sent_and_noted(
    by_transition: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    old = jobs.add_past(*GOOD)
    half = jobs.add_past(*GOOD)
    jobs.update(half["id"], {"$set": sent_already(half, 0, 1)})
    young = jobs.add_past(*GOOD, ago=30)

    assert sweep_once(by_transition) == 4

    assert published_states(kafka, topic, old["id"]) == list(GOOD)
    assert published_states(kafka, topic, half["id"]) == [GOOD[-1]]
    assert published_states(kafka, topic, young["id"]) == []
    assert unsent(jobs) == list(GOOD)
    records = kafka.read(topic)
    assert {header(record, "ce_origin") for record in records} == {b"sweep"}
    assert values(records)[-1].keys() == {"job_id", "state", "time", "trans_id"}
    assert sweep_once(by_transition) == 0


def test_a_transition_without_identity_is_noted(
    by_transition: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    history = [transition(state, trans_id=None) for state in GOOD]
    job_id = jobs.add(transition_times=history, state="complete")

    assert sweep_once(by_transition) == 3
    assert sweep_once(by_transition) == 0
    assert published_states(kafka, topic, job_id) == list(GOOD)
    assert len({value["trans_id"] for value in values(kafka.read(topic))}) == 3


def test_transitions_of_one_identity_are_all_noted(
    by_transition: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    history = [transition(state, trans_id="twice") for state in GOOD[:2]] + [transition(GOOD[2])]
    job_id = jobs.add(transition_times=history, state="complete")

    assert sweep_once(by_transition) == 3

    assert unsent(jobs) == []
    assert sweep_once(by_transition) == 0
    assert published_states(kafka, topic, job_id) == list(GOOD)


def test_old_transitions_without_the_flag_are_left_alone(
    by_transition: GivenSettings, jobs: JobWriter
) -> None:
    jobs.add(
        transition_times=[transition(state, notif_sent=None) for state in GOOD], state="complete"
    )

    assert sweep_once(by_transition) == 0


def test_invalid_transitions_are_skipped_or_dead_lettered_once(
    by_transition: GivenSettings, by_job: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    tagged: Document = {TAG: True}
    jobs.add(id=7, **tagged)
    jobs.add(first=transition("created", time=None), **tagged)
    good = jobs.add_past("created", **tagged)

    assert sweep_once(by_transition) == 1
    assert kafka.read(f"{topic}-dlq") == []
    assert [sweep_once(by_job) for _ in range(2)] == [1, 0]

    assert published_states(kafka, topic, good["id"]) == ["created"] * 2
    assert [letter["error_dlq"].partition(";")[0] for letter in dead_letters(kafka, topic)] == [
        "the time is missing"
    ]
    assert [job["id"] for job in jobs.collection.find(tagged)] == [7], (
        "nobody knows what to take that tag off by"
    )


def test_an_unwritable_job_is_named_and_skipped(
    by_transition: GivenSettings, by_job: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    invalid, good = jobs.add_past("created", **{TAG: True}), jobs.add_past("created", **{TAG: True})
    jobs.collection.database.command(
        "collMod", "jobs", validator={"id": {"$ne": invalid["id"]}}, validationLevel="strict"
    )

    for settings in (by_transition, by_job):
        ended = run_command("sweep", "--once", settings=settings)
        assert (ended.code, ended.out) == (0, "2 messages sent\n")
        assert "MongoDB rejects writes to 1 job(s)" in ended.err and invalid["id"] in ended.err
        assert "their tags stay and each sweep sends them again" in ended.err

    assert published_states(kafka, topic, good["id"]) == ["created"] * 2
    assert (
        [job["id"] for job in jobs.collection.find({TAG: True})]
        == unsent_jobs(jobs)
        == [invalid["id"]]
    )


def test_a_tagged_job_is_sent_and_untagged(
    by_job: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    """The message contains the job's latest state."""
    tagged, other = jobs.add_past(*GOOD, **{TAG: True}), jobs.add_past(*GOOD)
    young = jobs.add_past(*GOOD, ago=30, **{TAG: True})

    assert sweep_once(by_job) == 1

    assert published_states(kafka, topic, tagged["id"]) == ["complete"]
    assert (
        published_states(kafka, topic, other["id"])
        == published_states(kafka, topic, young["id"])
        == []
    )
    assert [job["id"] for job in jobs.collection.find({TAG: {"$exists": True}})] == [young["id"]]
    assert values(kafka.read(topic))[0]["trans_id"] == tagged["transition_times"][-1]["trans_id"]


def test_a_contradictory_job_is_named_and_sent_once(
    by_job: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str, tmp_path: Path
) -> None:
    """Its state and its history disagree."""
    odd = jobs.add_past(*GOOD, state="error", **{TAG: True})
    output = tmp_path / "output"
    with (
        output.open("w") as file,
        subprocess.Popen(
            [sys.executable, "-m", "bridge", "sweep"],
            env=environment({**by_job, "sweep.every_seconds": "0.3"}),
            cwd=ROOT,
            stdout=file,
            stderr=file,
        ) as process,
    ):
        poll(lambda: output.read_text().count("messages sent\n") >= 4, "four sweeps", 120)
        process.terminate()

    assert process.returncode == 0
    assert published_states(kafka, topic, odd["id"]) == ["complete"]
    assert output.read_text().count("1 messages sent") == 1
    assert (
        output.read_text().count(
            f"job {odd['id']} is in state error, but its history ends with complete"
        )
        == 1
    )
    assert jobs.collection.count_documents({TAG: True}) == 1

    jobs.update(odd["id"], {"$set": {"state": "complete"}})
    assert sweep_once(by_job) == 1
    assert jobs.collection.count_documents({TAG: True}) == 0


@pytest.mark.parametrize("mode", ["transitions", "jobs"])
def test_two_sweepers_at_once_lose_nothing(
    mode: str,
    by_transition: GivenSettings,
    by_job: GivenSettings,
    jobs: JobWriter,
    kafka: Kafka,
    topic: str,
) -> None:
    settings = by_transition if mode == "transitions" else by_job
    made = [jobs.add_past(*GOOD, **{TAG: True}) for _ in range(200)]
    command_line = [sys.executable, "-m", "bridge", "sweep", "--once"]
    both = [
        subprocess.Popen(
            command_line, env=environment(settings), cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0]
    wanted = list(GOOD) if mode == "transitions" else ["complete"]
    told_all = told_of(kafka, topic)
    for job in made:
        states = told_all[job["id"]]
        assert list(dict.fromkeys(states)) == wanted
        assert len(states) <= 2 * len(wanted)
    assert sum(int(output.split()[0]) for output in outputs) == len(kafka.read(topic))
    assert sweep_once(settings) == 0


def told_of(kafka: Kafka, topic: str) -> dict[str, list[str]]:
    states: dict[str, list[str]] = {}
    for value in values(kafka.read(topic)):
        states.setdefault(value["job_id"], []).append(value["state"])
    return states


def test_it_sweeps_again_and_again_until_stopped(
    by_transition: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    settings: GivenSettings = {**by_transition, "sweep.every_seconds": "0.5"}
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "sweep"],
        env=environment(settings),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    for count in (1, 2):
        jobs.add_past("created")
        poll(lambda count=count: len(kafka.read(topic)) == count, f"message {count}", 120)  # type: ignore[misc]
    # A sweep that is stopped between its message and the tag ends with 75.
    poll(lambda: unsent(jobs) == [], "no tagged transition")
    process.terminate()

    assert process.wait(120) == 0


def test_other_modes_have_nothing_to_sweep(settings: GivenSettings) -> None:
    ended = run_command("sweep", "--once", settings=settings)

    assert ended.code == 78
    assert "delivery.mode = at-least-once does not use tags" in ended.error


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"delivery.mode": "background-jobs"}, "needs sweep.job_tag"),
        ({"delivery.mode": "background-jobs", "sweep.job_tag": "a.b"}, "not a plain field name"),
        (
            {"delivery.mode": "background-transitions", "jobs.profile": "ee2"},
            "needs jobs with a history",
        ),
        (
            {"delivery.mode": "background-transitions", "start.from": "history"},
            "has no meaning with JOB_BRIDGE_DELIVERY_MODE",
        ),
        (
            {"delivery.mode": "background-transitions", "sweep.every_seconds": "inf"},
            "JOB_BRIDGE_SWEEP_EVERY_SECONDS: Input should be a finite number",
        ),
        (
            {"delivery.mode": "background-transitions", "sweep.older_than_seconds": "1e12"},
            "JOB_BRIDGE_SWEEP_OLDER_THAN_SECONDS: Input should be less",
        ),
        ({"delivery.mode": "exactly-once"}, "JOB_BRIDGE_DELIVERY_MODE"),
    ],
)
def test_a_mode_without_what_it_needs_is_refused(
    changed: dict[str, str], words: str, settings: GivenSettings
) -> None:
    ended = run_command("run", settings={**settings, **changed})

    assert ended.code == 78
    assert words in ended.error
