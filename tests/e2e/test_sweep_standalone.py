"""Sweeps of a standalone mongod, which has no change streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.e2e.conftest import MakeBridge
from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment
from tests.support.sweeps import TAG


@pytest.mark.parametrize("mode", ["transitions", "jobs"])
def test_a_standalone_is_swept_with_a_notice(
    mode: str,
    standalone: MongoDeployment,
    by_transition: GivenSettings,
    by_job: GivenSettings,
    database: str,
    kafka: Kafka,
    topic: str,
    start: MakeBridge,
    tmp_path: Path,
) -> None:
    settings = {**(by_transition if mode == "transitions" else by_job), "mongo.uri": standalone.uri}
    changed = {name.replace(".", "__"): value for name, value in settings.items()}
    words = "a standalone without change streams: only the sweep finds transitions"
    checked = run_command("check", settings=settings)
    assert checked.code == 0 and words in checked.out
    with (
        MongoClient[Any](standalone.uri) as client,
        start(**changed, sweep__every_seconds="0.5", sweep__older_than_seconds="1") as bridge,
    ):
        bridge.wait_ready()
        assert words in bridge.wait_for_line("standalone")
        assert words in " ".join(bridge.status()["notes"])
        job = JobWriter(client[database]["jobs"]).add_past(*GOOD, ago=0, every=0, **{TAG: True})
        wanted = list(GOOD) if mode == "transitions" else ["complete"]
        bridge.wait_for(lambda: published_states(kafka, topic, job["id"]) == wanted, "the job")
        assert bridge.stop() == 0


def test_a_standalone_cannot_be_tagged_by_the_bridge(
    standalone: MongoDeployment, by_job: GivenSettings
) -> None:
    ended = run_command(
        "run", settings={**by_job, "mongo.uri": standalone.uri, "sweep.tagged_by": "bridge"}
    )

    assert ended.code == 78
    assert "This mongod is a standalone" in ended.error
