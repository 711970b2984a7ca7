"""``replay``: publishes again from history what is asked for, and nothing else."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from bridge.demo.process import poll
from tests.commands.jobs import GOOD, Jobs, header, told, values
from tests.commands.running import ROOT, Settings, command, environment
from tests.servers.kafka import Kafka


def test_a_job_is_sent_whole_in_order_and_with_its_identity(settings: Settings, jobs: Jobs, kafka: Kafka, topic: str) -> None:
    job, other = jobs.past(*GOOD), jobs.past(*GOOD)

    ended = command("replay", "--job", job["id"], settings=settings)

    assert (ended.code, ended.out) == (0, f"3 messages sent to {topic}\n")
    records = kafka.read(topic)
    assert told(kafka, topic, job["id"]) == list(GOOD) and told(kafka, topic, other["id"]) == []
    assert [value["trans_id"] for value in values(records)] == [one["trans_id"] for one in job["transition_times"]]
    assert {header(one, "ce_origin") for one in records} == {b"replay"}


def test_a_time_is_that_of_the_transition(settings: Settings, jobs: Jobs, kafka: Kafka, topic: str) -> None:
    job = jobs.past(*GOOD, ago=7200, every=3000)
    middle = job["transition_times"][1]["time"].isoformat()

    assert command("replay", "--from", middle, "--to", middle, settings=settings).code == 0
    assert told(kafka, topic, job["id"]) == [GOOD[1]]

    assert command("replay", "--since", "90m", settings=settings).code == 0
    assert told(kafka, topic, job["id"]) == [GOOD[1], GOOD[1], GOOD[2]]


def test_a_state_is_sent_alone_of_all_jobs(settings: Settings, jobs: Jobs, kafka: Kafka, topic: str) -> None:
    for _ in range(4):
        jobs.past(*GOOD)
    jobs.past(*GOOD[:-1])

    ended = command("replay", "--state", "complete", settings=settings)

    assert ended.out.startswith("4 messages sent")
    assert {value["state"] for value in values(kafka.read(topic))} == {"complete"}


def test_a_dry_run_prints_the_messages_and_sends_none(settings: Settings, jobs: Jobs, kafka: Kafka, topic: str) -> None:
    job = jobs.past(*GOOD)

    ended = command("replay", "--job", job["id"], "--dry-run", settings=settings)

    assert ended.code == 0
    assert [json.loads(line)["state"] for line in ended.out.splitlines()] == list(GOOD)
    assert "3 messages would be sent; nothing was" in ended.err
    assert kafka.read(topic) == []


def test_another_topic_gets_them_instead(settings: Settings, jobs: Jobs, kafka: Kafka, topic: str) -> None:
    kafka.create_topic(f"{topic}-other")
    job = jobs.past(*GOOD)

    assert command("replay", "--job", job["id"], "--topic", f"{topic}-other", settings=settings).code == 0

    assert kafka.read(topic) == []
    assert told(kafka, f"{topic}-other", job["id"]) == list(GOOD)


def test_a_rate_is_kept(settings: Settings, jobs: Jobs, kafka: Kafka, topic: str) -> None:
    for _ in range(10):
        jobs.past("created")
    began = time.monotonic()

    assert command("replay", "--since", "1h", "--rate", "5", settings=settings).code == 0

    assert time.monotonic() - began > 10 / 5 - 0.5
    assert len(kafka.read(topic)) == 10


@pytest.mark.parametrize("by_job", [False, True])
def test_an_interrupted_replay_tells_how_to_go_on_and_the_two_are_the_whole(
    by_job: bool, settings: Settings, jobs: Jobs, kafka: Kafka, topic: str
) -> None:
    made = [jobs.past(*GOOD, ago=1000 - n) for n in range(5 if by_job else 40)]
    # The last job of all began long before: going on must not leave that out.
    made.append(jobs.past(*GOOD, ago=3000, every=1400))
    which = [word for job in made for word in ("--job", job["id"])] if by_job else ["--since", "2h"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "replay", *which, "--rate", "2"], env=environment(settings), cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )
    poll(lambda: len(kafka.read(topic)) >= 4, "the first messages", 30)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in err
    sent = len(kafka.read(topic))
    assert f"{sent} messages sent" in out and 3 <= sent < 3 * len(made)
    rest = re.search(r"stopped; to go on: job-bridge (replay .*)", err)
    assert rest
    assert command(*shlex.split(rest[1]), settings=settings).code == 0
    for job in made:
        states = told(kafka, topic, job["id"])
        assert list(dict.fromkeys(states)) == list(GOOD)
    # Jobs of one time may come twice, not many.
    assert len(kafka.read(topic)) <= 3 * len(made) + 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what to replay"), (("--to", "1h"), "--to needs --from"),
        (("--from", "2026-03-02T18:00:00"), "has no zone: write 2026-03-02T18:00:00+00:00 for UTC, or "),
        (("--since", "1h", "--topic", "a_b"), "Illegal character '_' in Kafka topic"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], words: str, settings: Settings) -> None:
    ended = command("replay", *arguments, settings=settings)

    assert ended.code == 64
    assert words in ended.complaint


def test_an_unknown_job_is_said(settings: Settings, jobs: Jobs) -> None:
    jobs.past(*GOOD)

    ended = command("replay", "--job", "nobody", settings=settings)

    assert ended.code == 0
    assert "no transition of these jobs was found" in ended.err
