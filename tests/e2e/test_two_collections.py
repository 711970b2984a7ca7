"""Bridges of two collections of one database: each has its own checkpoint and topic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.mongo.checkpoints import COLLECTION
from bridge.settings import load
from tests.e2e.conftest import MakeBridge
from tests.support.bridge_process import BridgeProcess
from tests.support.command import ROOT, EndedCommand, GivenSettings, run_command
from tests.support.job_writer import GOOD, Document, JobWriter
from tests.support.messages import values
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client

EXAMPLE = ROOT / "config" / "pipeline-jobs.example.toml"
UNUSABLE = 83
PIPELINE = "pipeline_jobs"


@pytest.fixture
def pipelines(client: Client, database: str) -> JobWriter:
    """A writer of the second collection, which has the service's own indexes."""
    client[database][PIPELINE].create_index("id", unique=True)
    return JobWriter(client[database][PIPELINE])


@pytest.fixture
def second(settings: dict[str, str], kafka: Kafka, topic: str) -> dict[str, str]:
    """The example's settings, with names of the test's own."""
    kafka.create_topic(f"{topic}-pipeline", partitions=3)
    kafka.create_topic(f"{topic}-pipeline-dlq", partitions=1)
    own = {name: f"{settings[name]}-pipeline" for name in ("kafka.topic", "checkpoint.name")}
    return {**settings, **own, "JOB_BRIDGE_CONFIG": str(EXAMPLE)}


def refused(command: str, settings: GivenSettings) -> EndedCommand:
    """Run the second bridge, which must end by itself, without advice to change the position."""
    ended = run_command(command, settings=settings)
    assert ended.code == UNUSABLE
    assert "token" not in ended.out + ended.err and "standby" not in ended.err
    return ended


def warned_of_a_loss(settings: GivenSettings) -> bool:
    """Whether a change by hand is only made after a warning; answers no."""
    ended = run_command("token", "clear", settings=settings, answer="n\n")
    return "would lose its position" in ended.out and ended.code != 0


def test_each_topic_has_its_own_jobs(
    second: GivenSettings, jobs: JobWriter, pipelines: JobWriter, kafka: Kafka, topic: str,
    start: MakeBridge, tmp_path: Path,
) -> None:  # fmt: skip
    """Both run at the same time, with their checkpoints in the same collection."""
    with start() as first, BridgeProcess(second, tmp_path / "second.log") as other:
        first.wait_ready()
        other.wait_ready()
        ids = [jobs.add_good() for _ in range(3)]
        pipeline_ids = [f"pipeline-{number}" for number in range(3)]
        for job_id in pipeline_ids:
            pipelines.add(id=job_id)
            for minute, state in enumerate(GOOD[1:], 1):
                pipelines.move(job_id, state, minute)
        first.wait_acked(len(GOOD) * 3)
        other.wait_acked(len(GOOD) * 3)
        assert first.stop() == other.stop() == 0

    for name, expected in ((topic, ids), (f"{topic}-pipeline", pipeline_ids)):
        received = [(value["job_id"], value["state"]) for value in values(kafka.read(name))]
        assert sorted(received) == sorted((job_id, state) for job_id in expected for state in GOOD)
        assert kafka.read(f"{name}-dlq") == []


def test_one_template_gives_each_its_own_checkpoint(
    second: dict[str, str], jobs: JobWriter, pipelines: JobWriter, client: Client, database: str,
    start: MakeBridge, tmp_path: Path,
) -> None:  # fmt: skip
    """The settings of both differ in the collection, the topic and the port only."""
    state = f"{database}_state"
    template = {"checkpoint.name": "", "checkpoint.database": state}
    with (
        start(**template) as first,
        BridgeProcess({**second, **template}, tmp_path / "second.log") as other,
    ):
        first.wait_ready()
        other.wait_ready()
        jobs.add_good()
        first.wait_acked(len(GOOD))
        assert other.status()["counters"]["read"] == 0
        assert first.status()["name"] == f"{database}.jobs"
        assert other.status()["name"] == f"{database}.{PIPELINE}"
        assert first.stop() == other.stop() == 0

    stored = client[state][COLLECTION].find(sort=[("_id", 1)])
    assert [document["_id"] for document in stored] == [
        f"{database}.jobs",
        f"{database}.{PIPELINE}",
    ]


def test_the_example_shares_no_name_with_the_defaults() -> None:
    default, example = load(None, {}, {}), load(EXAMPLE, {}, {})

    assert example.mongo.collection == PIPELINE and example.jobs == default.jobs
    assert example.checkpoint.name != default.checkpoint.name
    assert example.checkpoint.file != default.checkpoint.file
    assert example.kafka.topic != default.kafka.topic
    assert example.http.port != default.http.port


def test_check_warns_of_the_missing_index(second: GivenSettings, pipelines: JobWriter) -> None:
    """The page on the second collection shows this line."""
    ended = run_command("check", settings=second)

    assert ended.code == 0
    (line,) = [line for line in ended.out.splitlines() if " history " in line]
    assert line in (ROOT / "docs/operations/second-collection.md").read_text().splitlines()


@pytest.mark.parametrize("store", ["mongo", "file"])
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_the_same_checkpoint_is_refused(
    second: GivenSettings, jobs: JobWriter, pipelines: JobWriter, client: Client,
    settings: GivenSettings, start: MakeBridge, tmp_path: Path, store: str, running: bool,
) -> None:  # fmt: skip
    path = tmp_path / "checkpoint.json"
    shared = {"checkpoint.store": store, "checkpoint.file": str(path)}
    name = settings["checkpoint.name"]
    same = {**second, **shared, "checkpoint.name": name, "start.from": "history"}

    def position() -> Document:
        if store == "file":
            return dict(json.loads(path.read_text()))
        return client["job_bridge"][COLLECTION].find_one({"_id": name}) or {}

    with start(**shared) as first:
        first.wait_ready()
        if not running:
            assert first.stop() == 0
        before = position()
        for command in ("run", "check"):
            ended = refused(command, same)
            assert f"belongs to {name}.jobs, but this bridge reads {name}.{PIPELINE}" in (
                ended.out + ended.err
            )
            assert "its own checkpoint.name" in ended.out + ended.err
        after = position()
        assert first.ready() if running else warned_of_a_loss(same)
        assert position()["namespace"] == before["namespace"]

    for field in ("namespace", "epoch"):
        assert after.get(field) == before.get(field)
    assert instance_of(after) == instance_of(before)


def instance_of(record: Document) -> object:
    """The process that owns a stored checkpoint; None without an owner."""
    owner = record.get("owner")
    return owner.get("instance") if isinstance(owner, dict) else owner
