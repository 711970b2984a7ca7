"""An upgrade from a version whose checkpoints all had the name ``job-bridge``."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.mongo.checkpoints import COLLECTION
from tests.e2e.conftest import MakeBridge
from tests.support.command import run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import values
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client

FORMER = "job-bridge"
NOTE = f"is '{FORMER}', the default name of earlier versions"


@pytest.mark.parametrize("kind", ["mongo", "file"])
def test_an_upgrade_loses_and_repeats_nothing(
    settings: dict[str, str], start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str,
    kind: str, tmp_path: Path,
) -> None:  # fmt: skip
    own = {
        "checkpoint.store": kind,
        "checkpoint.file": str(tmp_path / "checkpoint.json"),
        "checkpoint.database": f"{settings['mongo.database']}_state",
    }
    with start(**own, checkpoint__name=FORMER) as old:
        old.wait_ready()
        first = jobs.add_good()
        old.wait_acked(len(GOOD))
        assert old.stop() == 0
    between = jobs.add_good()

    with start(**own, checkpoint__name="") as new:
        new.wait_for_line(NOTE)
        new.wait_acked(len(GOOD))
        assert new.status()["name"] == FORMER
        assert new.metric("job_bridge_owner") == 1
        assert new.stop() == 0
        assert len([line for line in new.messages() if NOTE in line]) == 1

    received = [(value["job_id"], value["state"]) for value in values(kafka.read(topic))]
    for job_id in (first, between):  # they may be in different partitions
        assert [state for job, state in received if job == job_id] == list(GOOD)
    assert len(received) == 2 * len(GOOD)
    assert FORMER in run_command("token", "list", settings={**settings, **own}).out


def test_a_rolling_update_agrees_on_the_owner(
    settings: dict[str, str], start: MakeBridge, jobs: JobWriter, client: Client, kafka: Kafka,
    topic: str, tmp_path: Path,
) -> None:  # fmt: skip
    state = f"{settings['mongo.database']}_state"
    with start(checkpoint__database=state, checkpoint__name=FORMER) as old:
        old.wait_ready()
        new = start(checkpoint__database=state, checkpoint__name="")
        new.log_file = tmp_path / "new.log"
        with new:
            new.wait_unready(f"standby: the bridge with process {old.pid} on ")
            ids = [jobs.add_good() for _ in range(3)]
            old.wait_acked(3 * len(GOOD))
            assert old.stop() == 0
            new.wait_ready()
            ids.append(jobs.add_good())
            new.wait_acked(len(GOOD))
            assert new.stop() == 0

    received = [(value["job_id"], value["state"]) for value in values(kafka.read(topic))]
    assert sorted(received) == sorted((job_id, state) for job_id in ids for state in GOOD)
    assert [document["_id"] for document in client[state][COLLECTION].find()] == [FORMER]
