"""Tags of jobs without a history, and tags that would overwrite other fields."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from bson.objectid import ObjectId

from bridge.app.wiring import open_source_and_store
from bridge.settings import load
from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import JobWriter
from tests.support.messages import dead_letters, published_states
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client
from tests.support.sweeps import TAG, sweep_once


@pytest.mark.parametrize("time", ["missing", None, "yesterday"])
def test_a_job_without_any_time_is_dead_lettered(
    by_job: GivenSettings, client: Client, database: str, kafka: Kafka, topic: str, time: object
) -> None:
    job = {"_id": ObjectId(), "status": "running", TAG: True} | (
        {} if time == "missing" else {"updated": time}
    )
    client[database]["ee2_jobs"].insert_one(job)

    settings = {**by_job, "jobs.profile": "ee2"}
    summaries = [run_command("sweep", "--once", "--json", settings=settings) for _ in range(2)]

    counts = [json.loads(ended.out.splitlines()[-1]) for ended in summaries]
    assert [(count["messages"], count["dead_lettered"]) for count in counts] == [(0, 1), (0, 0)]
    assert [letter["job_id"] for letter in dead_letters(kafka, topic)] == [str(job["_id"])]


def test_a_job_back_in_its_state_stays_tagged(
    by_job: GivenSettings, client: Client, database: str
) -> None:
    """Without a history the update time decides: the second "running" is still unsent."""
    jobs, key, now = client[database]["ee2_jobs"], ObjectId(), datetime.now(timezone.utc)
    config = load(None, {**by_job, "jobs.profile": "ee2"})
    for first, second in (
        (now.timestamp() - 600.0004, now.timestamp()),
        (now - timedelta(minutes=10), now),
    ):
        jobs.replace_one(
            {"_id": key}, {"status": "running", "updated": first, TAG: True}, upsert=True
        )
        with open_source_and_store(config) as (source, _):
            (sent,) = source.tags().pending(now.timestamp() + 1)
            jobs.update_one({"_id": key}, {"$set": {"updated": second}})
            source.tags().clear(sent)
            assert jobs.count_documents({TAG: True}) == 1

            (sent,) = source.tags().pending(now.timestamp() + 1)
            source.tags().clear(sent)
            assert jobs.count_documents({TAG: True}) == 0


@pytest.mark.parametrize(
    ("mode", "name", "tag"),
    [
        ("background-jobs", "job_tag", "state"),
        ("background-jobs", "job_tag", "_update_time"),
        ("background-transitions", "transition_tag", "trans_id"),
    ],
)
def test_a_tag_may_not_overwrite_service_fields(
    mode: str, name: str, tag: str, settings: GivenSettings, jobs: JobWriter
) -> None:
    for words in (("check",), ("run",), ("sweep", "--once")):
        ended = run_command(
            *words,
            settings={
                **settings,
                "sweep.job_tag": TAG,
                "delivery.mode": mode,
                f"sweep.{name}": tag,
            },
        )

        assert ended.code == 78
        assert f"sweep.{name} = {tag} is a field that the service uses" in ended.out + ended.err


def test_jobs_whose_ids_are_numbers_are_untagged(
    by_job: GivenSettings, client: Client, database: str, kafka: Kafka, topic: str
) -> None:
    old = datetime.now(timezone.utc) - timedelta(minutes=10)
    client[database]["ee2_jobs"].insert_many(
        [{"_id": key, "status": "running", "updated": old, TAG: True} for key in (7, -1, 2**40)]
    )

    assert [sweep_once({**by_job, "jobs.profile": "ee2"}) for _ in range(2)] == [3, 0]


def test_a_job_without_history_is_swept(
    by_job: GivenSettings, client: Client, database: str, kafka: Kafka, topic: str
) -> None:
    key, now = ObjectId(), datetime.now(timezone.utc).timestamp()
    client[database]["ee2_jobs"].insert_one(
        {"_id": key, "status": "running", "updated": now - 600, TAG: True}
    )

    assert sweep_once({**by_job, "jobs.profile": "ee2"}) == 1

    assert published_states(kafka, topic, str(key)) == ["running"]
    assert TAG not in (client[database]["ee2_jobs"].find_one({"_id": key}) or {})
