"""Checkpoints that are not ours, not whole, or not of our time: refused, and left as they were."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from bson.objectid import ObjectId

from tests.e2e.conftest import MakeBridge
from tests.support.bridge_process import BridgeProcess
from tests.support.command import EndedCommand, GivenSettings, run_command
from tests.support.job_writer import GOOD, Document, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client, MongoDeployment

STORES = ("mongo", "file")

Change = Callable[[Document], Document]


class Stored:
    """The checkpoint of a bridge, in either store, and its settings."""

    def __init__(self, settings: GivenSettings, client: Client) -> None:
        self.settings = {**settings, "http.port": "0", "log.format": "json"}
        self.kind, self.topic = settings["checkpoint.store"], settings["kafka.topic"]
        self._documents = client["job_bridge"]["job_bridge_checkpoints"]
        self._name, self._path = settings["checkpoint.name"], Path(settings["checkpoint.file"])

    def record(self) -> Document:
        if self.kind == "file":
            whole: Document = json.loads(self._path.read_text())
            return whole
        document = self._documents.find_one({"_id": self._name})
        assert document is not None
        # The lease is not part of the checkpoint: reading takes the ownership for a moment.
        return {
            name: value
            for name, value in document.items()
            if name not in ("owner", "epoch", "renewed_at")
        }

    def rewrite(self, change: Change) -> Document:
        """Change the record without the bridge; returns the stored record."""
        record = change(self.record())
        if self.kind == "file":
            self._path.write_text(json.dumps(record))
        else:
            self._documents.replace_one({"_id": self._name}, {"owner": None, "epoch": 1, **record})
        return self.record()


@pytest.fixture(scope="module", params=STORES)
def ran(
    request: pytest.FixtureRequest,
    mongo: MongoDeployment,
    kafka: Kafka,
    client: Client,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stored:
    """The checkpoint of a bridge that has run once, sent a job and stopped."""
    folder, name = tmp_path_factory.mktemp("ran"), f"test-{uuid.uuid4().hex[:12]}"
    for topic in (name, f"{name}-dlq"):
        kafka.create_topic(topic)
    given = {
        "mongo.uri": mongo.uri,
        "mongo.database": name,
        "kafka.bootstrap_servers": kafka.bootstrap,
        "kafka.topic": name,
        "checkpoint.store": str(request.param),
        "checkpoint.name": name,
        "checkpoint.file": str(folder / "checkpoint.json"),
    }
    stored = Stored(given, client)
    with BridgeProcess(given, folder / "log") as bridge:
        bridge.wait_ready()
        JobWriter(client[name]["jobs"]).add_good()
        bridge.wait_acked(len(GOOD))
        assert bridge.stop() == 0
    assert stored.record()["token"]
    return stored


@pytest.fixture
def stored(ran: Stored) -> Iterator[Stored]:
    """The same, made good again afterwards."""
    record = ran.record()
    yield ran
    ran.rewrite(lambda _: record)


def refused(stored: Stored, kafka: Kafka) -> EndedCommand:
    """Run on the checkpoint: it is refused, nothing is sent, and it is as it was."""
    before, sent = stored.record(), len(kafka.read(stored.topic))
    ended = run_command("run", settings=stored.settings)
    assert ended.code == 83
    assert ended.error.startswith("checkpoint unusable: ")
    assert "Nothing was read or sent" in ended.error
    assert stored.record() == before and len(kafka.read(stored.topic)) == sent
    return ended


def replacing(**fields: Any) -> Change:
    return lambda record: {**record, **fields}


def without(*names: str) -> Change:
    return lambda record: {name: value for name, value in record.items() if name not in names}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replacing(format=4, bridge_version="9.9.0"), "has format 4, but this bridge ("),
        (
            lambda record: {**record, "token": record["token"][:15]},
            "damaged: ValueError: not a resume token",
        ),
        (
            lambda record: {**record, "token": record["token"][:24]},
            "The stored resume token is not valid: ",
        ),
        (
            lambda record: {**record, "token": f"82{'0' * 18}"},
            "token and cluster_time disagree",
        ),
        (without("cluster_time"), "damaged: it has no field 'cluster_time'"),
        (without("format"), "damaged: "),
        (replacing(token=7), "damaged: TypeError: 7 is not text"),
        (replacing(sequence="many"), "damaged: "),
        (
            replacing(mongo_cluster_id=f"rs0/{ObjectId()}"),
            "The stored checkpoint belongs to MongoDB cluster rs0/",
        ),
        (
            replacing(mongo_cluster_id="rs7/"),
            "The stored checkpoint belongs to MongoDB cluster rs7/, but this cluster is rs0/",
        ),
        (
            replacing(token="", cluster_time=[4_000_000_000, 1]),
            "later than this cluster's last write",
        ),
    ],
)
def test_a_checkpoint_that_is_not_good_is_refused(
    stored: Stored, kafka: Kafka, change: Change, words: str
) -> None:
    stored.rewrite(change)

    ended = refused(stored, kafka)

    assert words in ended.error
    assert "job-bridge token" in ended.error or "Run job-bridge 9.9.0 or later" in ended.error


def test_a_new_token_repairs_a_damaged_checkpoint(
    stored: Stored, kafka: Kafka, client: Client, tmp_path: Path
) -> None:
    """``check`` reports the damage and names the command that repairs it."""
    before = stored.record()
    stored.rewrite(without("cluster_time", "fingerprint"))
    checked = run_command("check", settings=stored.settings)
    assert checked.code == 83
    assert (
        "damaged: it has no field 'cluster_time'" in checked.out
        and "'job-bridge token set TIME'" in checked.out
    )

    since = datetime.fromtimestamp(before["saved_at"], timezone.utc).isoformat()
    mended = run_command("token", "set", since, "--yes", settings=stored.settings)
    assert mended.code == 0 and "is damaged" in mended.out
    job_id = JobWriter(client[stored.topic]["jobs"]).add_good()
    with BridgeProcess(stored.settings, tmp_path / "log") as bridge:
        bridge.wait_for(
            lambda: published_states(kafka, stored.topic, job_id) == list(GOOD), "the job after it"
        )


@pytest.mark.parametrize("keep", [0, 1, 100])
def test_a_file_cut_short_is_refused(
    keep: int, settings: GivenSettings, kafka: Kafka, topic: str, start: MakeBridge, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.json"
    given = {**settings, "checkpoint.store": "file", "checkpoint.file": str(path)}
    with start(**given) as bridge:
        bridge.wait_ready()
        assert bridge.stop() == 0
    path.write_bytes(path.read_bytes()[:keep])

    ended = run_command("run", settings=given)

    assert ended.code == 83
    assert f"The checkpoint file {path} is damaged: " in ended.error
    assert "Restore a copy, or run 'job-bridge token set TIME'" in ended.error
    assert path.stat().st_size == keep and kafka.read(topic) == []


def test_a_file_of_another_bridge_is_refused(
    settings: GivenSettings, start: MakeBridge, tmp_path: Path
) -> None:
    given = {
        **settings,
        "checkpoint.store": "file",
        "checkpoint.file": str(tmp_path / "checkpoint.json"),
    }
    with start(**given) as bridge:
        bridge.wait_ready()
        assert bridge.stop() == 0

    ended = run_command("run", settings={**given, "checkpoint.name": "other"})

    assert ended.code == 83
    assert f"belongs to '{settings['checkpoint.name']}', not to 'other'" in ended.error


@pytest.mark.parametrize("path", ["/nowhere/checkpoint.json", "/"])
def test_a_file_that_cannot_be_written_is_refused(path: str, settings: GivenSettings) -> None:
    given = {**settings, "checkpoint.store": "file", "checkpoint.file": path}

    ended = run_command("run", settings=given)
    checked = run_command("check", settings=given)

    assert ended.code == checked.code == 78
    assert f"Cannot use the checkpoint file {path}: " in ended.error
    assert "Check checkpoint.file, its folder and the disk" in ended.error


def test_a_second_bridge_on_one_file_is_refused(
    settings: GivenSettings, start: MakeBridge, tmp_path: Path
) -> None:
    given = {
        **settings,
        "checkpoint.store": "file",
        "checkpoint.file": str(tmp_path / "checkpoint.json"),
    }
    with start(**given) as bridge:
        bridge.wait_ready()

        ended = run_command("run", settings=given)

        assert ended.code == 76
        assert "Another process owns the checkpoint file" in ended.error
        assert "give this bridge a checkpoint.file of its own" in ended.error
        assert bridge.ready()


@pytest.fixture(scope="module")
def other_mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDeployment]:
    """Another replica set of the very same name."""
    with MongoDeployment(tmp_path_factory.mktemp("other")) as server:
        yield server


def test_a_namesakes_checkpoint_is_refused(
    other_mongo: MongoDeployment,
    settings: GivenSettings,
    kafka: Kafka,
    topic: str,
    start: MakeBridge,
    tmp_path: Path,
) -> None:
    """It belongs to another replica set of the same name."""
    given = {
        **settings,
        "checkpoint.store": "file",
        "checkpoint.file": str(tmp_path / "checkpoint.json"),
    }
    with start(**given) as bridge:
        bridge.wait_ready()
        assert bridge.stop() == 0

    ended = run_command("run", settings={**given, "mongo.uri": other_mongo.uri})

    assert ended.code == 83
    assert "The stored checkpoint belongs to MongoDB cluster rs0/" in ended.error
    assert "this cluster is rs0/" in ended.error and "its own checkpoint.name" in ended.error
    assert kafka.read(topic) == []
