"""The simulated job service against a real MongoDB."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from tests.support.backlog import load
from tests.support.servers.mongo import MongoDeployment
from tests.support.service_run import Outcome, committed, elements, history, run
from tests.support.simulator import Indeterminate, Workload, Writes, play

TERMINAL = {"complete", "error", "canceled"}
DETAILS = {"nersc_details", "jaws_details", "htcondor_details"}


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


def jobs_of(client: MongoClient[Any], database: str) -> Collection[Any]:
    return client[database]["jobs"]


def test_finished_jobs_look_like_the_services_own(mongo: MongoDeployment, database: str) -> None:
    outcomes: list[Outcome] = []

    run(mongo, database, Workload(jobs=20, rate=None, seed=3), outcomes.append)

    with MongoClient[Any](mongo.uri, tz_aware=True) as client:
        documents = list(jobs_of(client, database).find())
        indexes = jobs_of(client, database).index_information()
    assert len(documents) == 20
    assert committed(outcomes) == sorted(line for job in documents for line in history(job))
    assert "id_1" in indexes and len(indexes) == 10
    for job in documents:
        last = job["transition_times"][-1]
        times = [element["time"] for element in job["transition_times"]]
        assert job["state"] == last["state"] and job["state"] in TERMINAL
        assert job["_update_time"] == last["time"] and times == sorted(times)
        assert all(
            element["notif_sent"] and element["_retry"] == 0 for element in job["transition_times"]
        )
        assert job["cleaned"] and job["admin_meta"]["state"] == "error"
        assert ("outputs" in job) == (job["state"] == "complete")
        assert ("traceback" in job) == (job["state"] == "error")
    assert {state["state"] for state in documents} == TERMINAL
    assert any(job.keys() & DETAILS for job in documents)


def test_the_change_stream_shows_transitions_among_noise(
    mongo: MongoDeployment, database: str
) -> None:
    outcomes: list[Outcome] = []
    workload = Workload(jobs=1, rate=None, error_share=0, cancel_share=0)
    with (
        MongoClient[Any](mongo.uri) as client,
        jobs_of(client, database).watch(max_await_time_ms=500) as stream,
    ):
        run(mongo, database, workload, outcomes.append)
        events = list(iter(stream.try_next, None))

    changed = [event["updateDescription"]["updatedFields"] for event in events[1:]]
    assert events[0]["operationType"] == "insert"
    assert [f"transition_times.{n}" for n in range(1, 7)] == [
        key
        for fields in changed
        if "state" in fields
        for key in fields
        if key.startswith("transition_times.")
    ]
    keys = [key for fields in changed if "state" not in fields for key in fields]
    assert [key for key in keys if key.endswith("notif_sent")] == [
        f"transition_times.{n}.notif_sent" for n in range(7)
    ]
    assert {"admin_meta.state", "admin_meta.transition_times.9", "cleaned"} <= set(keys)


@pytest.mark.parametrize("writes", ["push", "pipeline"])
def test_it_outlives_a_server_that_crashes_and_returns(
    writes: Writes, tmp_path: Path, database: str
) -> None:
    outcomes: list[Outcome] = []
    with MongoDeployment(tmp_path) as server:

        async def crash() -> None:
            await until(lambda: len(outcomes) >= 30)
            server.kill()
            await until(lambda: any(isinstance(outcome, Indeterminate) for outcome in outcomes))
            server.start_node()

        async def whole() -> None:
            workload = Workload(
                jobs=20, rate=None, noise=False, error_share=0.5, recover_share=0.9, writes=writes
            )
            playing = play(
                server.uri, database, workload, stop=asyncio.Event(), on_commit=outcomes.append
            )
            await asyncio.wait_for(asyncio.gather(playing, crash()), 120)

        asyncio.run(whole())
        with MongoClient[Any](server.uri) as client:
            documents = list(jobs_of(client, database).find())

    assert committed(outcomes) == sorted(line for job in documents for line in history(job))
    assert {job["state"] for job in documents} <= TERMINAL


def test_the_command_logs_every_transition_and_stops(
    mongo: MongoDeployment, database: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    options = ["--uri", mongo.uri, "--database", database, "--rate", "0", "--log", str(log)]
    command = [sys.executable, "-m", "tests.support.simulator", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while not log.exists() or log.stat().st_size < 2000:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=120)

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert process.returncode == 0
    assert json.loads(printed)["transitions"] == len(lines)
    assert {line["kind"] for line in lines} == {"commit"}


@pytest.mark.parametrize("recovered", [False, True])
def test_a_backlog_has_the_transitions_it_says(
    recovered: bool, mongo: MongoDeployment, database: str
) -> None:
    written = load(mongo.uri, database, jobs=30, transitions=9, noise=True, recovered=recovered)

    with MongoClient[Any](mongo.uri) as client:
        documents = list(jobs_of(client, database).find())
    assert written == sum(len(elements(job)) for job in documents) == 270
    assert all(element["notif_sent"] for job in documents for element in elements(job))
    assert {job["state"] for job in documents} == {documents[0]["transition_times"][-1]["state"]}
    assert {len(job.get("trans_history", ())) for job in documents} == {4 if recovered else 0}
