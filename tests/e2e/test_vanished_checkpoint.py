"""A checkpoint that something removes under a running bridge costs neither loss nor duplicates."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import MakeBridge
from tests.support.command import GivenSettings
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client


@pytest.mark.parametrize("kind", ["mongo", "file"])
def test_a_vanished_checkpoint_is_written_again(
    kind: str,
    settings: GivenSettings,
    start: MakeBridge,
    jobs: JobWriter,
    client: Client,
    kafka: Kafka,
    topic: str,
    tmp_path: Path,
) -> None:
    """The jobs written before, between and after the restart arrive once."""
    path = tmp_path / "checkpoint.json"
    given = {**settings, "checkpoint.store": kind, "checkpoint.file": str(path)}
    with start(**given) as bridge:
        bridge.wait_ready()
        first = jobs.add_good()
        bridge.wait_acked(len(GOOD))
        if kind == "mongo":
            documents = client["job_bridge"]["job_bridge_checkpoints"]
            documents.delete_one({"_id": settings["checkpoint.name"]})
        else:
            path.unlink()
            Path(f"{path}.lock").unlink()
        bridge.wait_for_line("vanished: something removed")
        assert bridge.ready() and bridge.stop() == 0
    second = jobs.add_good()

    with start(**given) as bridge:
        bridge.wait_acked(len(GOOD))
        assert bridge.stop() == 0

    for job_id in (first, second):
        assert published_states(kafka, topic, job_id) == list(GOOD)
