"""An interrupted ``replay`` prints a command that sends the rest."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bridge.cli.replay import replay
from bridge.cli.selection import command_line
from bridge.demo.servers.process import poll
from tests.support.command import ROOT, GivenSettings, assert_clean, environment, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import header, published_states, values
from tests.support.servers.kafka import Kafka


def interrupted(
    arguments: Sequence[str], settings: GivenSettings, kafka: Kafka, topic: str, rate: str = "4"
) -> list[str]:
    """Interrupt a replay after four messages; returns the words of the command that resumes it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "replay", *arguments, "--rate", rate],
        env=environment(settings),
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    poll(lambda: len(kafka.read(topic)) >= 4, "the first messages", 120)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert_clean(out + err)
    assert process.returncode == 130
    assert out == f"{len(kafka.read(topic))} messages sent to {topic}\n"
    (line,) = re.findall(r"stopped; to resume: (.*)", err)
    program, *rest = shlex.split(line)
    assert program == "job-bridge"
    return rest


def options_in(words: Sequence[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(words) if name == option]


def test_an_interrupted_replay_names_the_remaining_jobs(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job_ids = [str(jobs.add_past(*GOOD)["id"]) for _ in range(12)]
    # Not in MongoDB's order, with unknown ids, and one id twice.
    requested = ["nobody", *reversed(job_ids[6:]), "no one", job_ids[11], *job_ids[:6], "none"]

    rest = interrupted(
        [word for job_id in requested for word in ("--job", job_id)], settings, kafka, topic
    )

    remaining = options_in(rest, "--job")
    assert remaining == list(dict.fromkeys(requested))[-len(remaining) :]
    assert [job_id for job_id in job_ids if job_id in remaining] == [
        job_id for job_id in job_ids if not published_states(kafka, topic, job_id)
    ]
    ended = run_command(*rest, settings=settings)
    assert ended.code == 66
    assert " not exist in " in ended.error and "none. The other jobs" in ended.error
    assert all(published_states(kafka, topic, job_id) == list(GOOD) for job_id in job_ids)


def test_the_command_to_resume_repeats_all_options(
    settings: dict[str, str], jobs: JobWriter, kafka: Kafka, topic: str, tmp_path: Path
) -> None:
    file, state, other = tmp_path / "my settings.toml", "it's $HOME", f"{topic}-other"
    file.write_text(f'[kafka]\ntopic = "{topic}-unknown"\nheaders = "none"\n')
    kafka.create_topic(other)
    del settings["kafka.topic"]
    made = [jobs.add_past("created", state, state, ago=1000 - n) for n in range(10)]
    given = [
        "--config",
        str(file),
        "--kafka-topic",
        topic,
        "--delivery-mode",
        "at-least-once",
        "--mongo-uri",
        settings.pop("mongo.uri"),
    ]

    rest = interrupted(
        [*given, "--since", "2h", "--to", "1s", "--state", state, "--topic", other],
        settings,
        kafka,
        other,
    )

    assert {name: options_in(rest, name) for name in ("--rate", "--topic", "--config")} == {
        "--rate": ["4.0"],
        "--topic": [other],
        "--config": [str(file)],
    }
    ended = run_command(*rest, settings=settings)
    assert ended.code == 0, ended.err
    records = kafka.read(other)
    assert {header(record, "ce_origin") for record in records} == {None}
    assert {element["trans_id"] for job in made for element in job["transition_times"][1:]} == {
        value["trans_id"] for value in values(records)
    }
    assert len(records) <= 20 + 4


def test_mixed_types_of_update_times_skip_no_job(
    settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    newer = [
        jobs.add_past(*GOOD, ago=300 - n, _update_time=time.time() - 300 + n) for n in range(6)
    ]
    older = [jobs.add_past(*GOOD, ago=3000 - n) for n in range(6)]

    rest = interrupted(["--since", "2h"], settings, kafka, topic)
    assert not any(published_states(kafka, topic, job["id"]) for job in older)

    assert run_command(*rest, settings=settings).code == 0
    assert all(
        list(dict.fromkeys(published_states(kafka, topic, job["id"]))) == list(GOOD)
        for job in [*newer, *older]
    )
    assert len(kafka.read(topic)) <= 3 * 12 + 3


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://me:secret@host/?replicaSet=rs0", "mongodb://me:PASSWORD@host/?replicaSet=rs0"),
        (
            "mongodb://host/?tlsCertificateKeyFilePassword=secret&tls=true",
            "mongodb://host/?tlsCertificateKeyFilePassword=PASSWORD&tls=true",
        ),
    ],
)
def test_the_command_that_goes_on_holds_no_password(uri: str, shown: str) -> None:
    words = ["--mongo-uri", uri, "--since", "1h"]
    with replay.make_context("replay", words):
        assert command_line({}) == shlex.join(
            ["job-bridge", "replay", "--since", "1h", "--mongo-uri", shown]
        )


@pytest.mark.parametrize("by_job", [False, True])
def test_an_interrupted_replay_can_be_resumed_without_loss(
    by_job: bool, settings: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    made = [jobs.add_past(*GOOD, ago=1000 - n) for n in range(5 if by_job else 40)]
    # The last job of all began long before: going on must not leave that out.
    made.append(jobs.add_past(*GOOD, ago=3000, every=1400))
    which = [word for job in made for word in ("--job", job["id"])] if by_job else ["--since", "2h"]

    rest = interrupted(which, settings, kafka, topic, rate="2")

    assert rest[0] == "replay"
    assert 3 <= len(kafka.read(topic)) < 3 * len(made)
    assert run_command(*rest, "--rate", "1000", settings=settings).code == 0
    for job in made:
        states = published_states(kafka, topic, job["id"])
        assert list(dict.fromkeys(states)) == list(GOOD)
    # JobWriter of one time may come twice, not many.
    assert len(kafka.read(topic)) <= 3 * len(made) + 6
