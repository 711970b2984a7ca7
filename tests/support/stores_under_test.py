"""Checkpoint stores of the same name: in memory, in a file, in MongoDB, in Kafka."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from kafka import KafkaProducer, TopicPartition
from pymongo import MongoClient

from bridge.checkpoint.file import FileCheckpointStore
from bridge.kafka.librdkafka.checkpoints import KafkaCheckpointStore
from bridge.kafka.topics import state_topic_of
from bridge.mongo.checkpoints import COLLECTION, MongoCheckpointStore
from bridge.pipeline.ports import CheckpointStore
from bridge.settings import Settings
from tests.support.factories import settings
from tests.support.fakes import FakeClock, FakeStore, SharedCheckpoint
from tests.support.servers.kafka import Kafka

LEASE = 30.0
#: Longer than the session of a member of a consumer group.
ACQUIRE_SECONDS = 15.0


class StoreUnderTest(Protocol):
    """Opens stores of the same name; ``stands_by``: a second one waits instead of failing."""

    stands_by: bool

    def open(self, name: str = "bridge") -> CheckpointStore: ...

    def dead(self) -> None:
        """A process of this host becomes the owner and is killed."""

    def silent(self) -> None:
        """The owner has not renewed for longer than the lease."""

    def damage(self) -> None:
        """Something else writes into the record."""

    def vanish(self) -> None:
        """Something else removes the record and all that belongs to it."""


class InMemoryStore:
    stands_by = True

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.shared = SharedCheckpoint(self.clock, LEASE)

    def open(self, name: str = "bridge") -> FakeStore:
        return FakeStore(self.shared, name)

    def dead(self) -> None:
        gone = self.open()
        gone.acquire()
        self.shared.dead.append(gone)

    def silent(self) -> None:
        self.clock.advance(LEASE + 1)

    def damage(self) -> None:
        assert self.shared.record is not None
        self.shared.record["sequence"] = "many"

    def vanish(self) -> None:
        raise NotImplementedError


class FileStore:
    stands_by = False

    def __init__(self, folder: Path) -> None:
        self.path = folder / "checkpoint.json"
        self._opened: list[FileCheckpointStore] = []

    def open(self, name: str = "bridge") -> FileCheckpointStore:
        self._opened.append(FileCheckpointStore(self.path, name))
        return self._opened[-1]

    def dead(self) -> None:
        killed(
            "from pathlib import Path; from bridge.checkpoint.file import FileCheckpointStore",
            f"FileCheckpointStore(Path({str(self.path)!r}), 'bridge')",
        )

    def silent(self) -> None:
        raise NotImplementedError

    def damage(self) -> None:
        self.path.write_text(self.path.read_text()[:-40])

    def vanish(self) -> None:
        for path in self.path.parent.iterdir():
            path.unlink()

    def close(self) -> None:
        for store in self._opened:
            store.release()


class MongoStore:
    """Its clock stands still; ``silent`` moves it while the opened stores look at the document."""

    stands_by = True

    def __init__(self, uri: str, database: str) -> None:
        self.uri, self.database = uri, database
        self.client = MongoClient[dict[str, Any]](uri)
        self.documents = self.client[database][COLLECTION]
        self.clock = FakeClock()
        self._opened: list[MongoCheckpointStore] = []

    def open(self, name: str = "bridge") -> MongoCheckpointStore:
        store = MongoCheckpointStore(
            self.client, self.database, name, lease_seconds=LEASE, clock=self.clock
        )
        self._opened.append(store)
        return store

    def dead(self) -> None:
        killed(
            "from pymongo import MongoClient\n"
            "from bridge.mongo.checkpoints import MongoCheckpointStore",
            f"MongoCheckpointStore(MongoClient({self.uri!r}), "
            f"{self.database!r}, 'bridge', lease_seconds={LEASE})",
        )

    def silent(self) -> None:
        for _ in range(6):
            for store in self._opened:
                store.load()
            self.clock.advance(LEASE / 5)

    def vanish(self) -> None:
        self.client.drop_database(self.database)

    def damage(self) -> None:
        self.documents.update_one({"_id": "bridge"}, {"$set": {"sequence": "many"}})


class KafkaStore:
    """Stores of a topic of its own, with the state topic beside it."""

    stands_by = True

    def __init__(self, kafka: Kafka, topic: str, **others: Any) -> None:
        self.kafka = kafka
        self.topic = topic
        self.state_topic = state_topic_of(topic)
        self._others = others
        self._opened: list[KafkaCheckpointStore] = []
        kafka.create_topic(self.state_topic, partitions=1, cleanup_policy="compact")

    def settings(self, name: str = "bridge", **others: Any) -> Settings:
        return settings(
            **{
                "kafka__bootstrap_servers": self.kafka.bootstrap,
                "kafka__topic": self.topic,
                "checkpoint__store": "kafka",
                "checkpoint__name": name,
                **self._others,
                **others,
            }
        )

    def open(self, name: str = "bridge", **others: Any) -> KafkaCheckpointStore:
        store = KafkaCheckpointStore(self.settings(name, **others), f"{self.topic}-dlq")
        self._opened.append(store)
        return store

    def dead(self) -> None:
        killed(
            "from bridge.kafka.librdkafka.checkpoints import KafkaCheckpointStore\n"
            "from tests.support.factories import settings",
            f"KafkaCheckpointStore(settings(kafka__bootstrap_servers={self.kafka.bootstrap!r}, "
            f"kafka__topic={self.topic!r}, checkpoint__store='kafka', "
            f"checkpoint__name='bridge'), {self.topic + '-dlq'!r})",
        )

    def silent(self) -> None:
        raise NotImplementedError

    def damage(self) -> None:
        self.write("bridge", json.dumps(self.stored("bridge") | {"sequence": "many"}).encode())

    def vanish(self) -> None:
        """Delete all records; Kafka allows that for topics that are not compacted only."""
        self.kafka.alter_topic(self.state_topic, cleanup_policy="delete")
        with self.kafka.admin() as admin:
            admin.delete_records({TopicPartition(self.state_topic, 0): -1})

    def stored(self, name: str) -> dict[str, Any]:
        """The fields of the latest committed record of ``name``."""
        values = [
            record.value
            for record in self.kafka.read(self.state_topic)
            if record.key == name.encode()
        ]
        fields: dict[str, Any] = json.loads(values[-1] or b"")
        return fields

    def write(self, key: str, value: bytes | None, count: int = 1) -> None:
        """Write records to the state topic, as another program could."""
        producer = KafkaProducer(bootstrap_servers=self.kafka.bootstrap)
        try:
            for _ in range(count):
                producer.send(self.state_topic, value, key.encode(), partition=0)
            producer.flush()
        finally:
            producer.close()

    def close(self) -> None:
        for store in self._opened:
            store.release()


def killed(imports: str, store: str) -> None:
    """A process that acquires ``store`` and ends like a crash."""
    acquire = f"assert {store}.acquire() == ''"
    code = f"import os, signal\n{imports}\n{acquire}\nos.kill(os.getpid(), signal.SIGKILL)"
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == -9, ended.stderr


def opened(request: pytest.FixtureRequest, folder: Path, database: str) -> Iterator[StoreUnderTest]:
    """The kind of store that the parameter names, closed afterwards."""
    if request.param == "memory":
        yield InMemoryStore()
    elif request.param == "file":
        file = FileStore(folder)
        yield file
        file.close()
    elif request.param == "kafka":
        kafka_store = KafkaStore(request.getfixturevalue("kafka"), request.getfixturevalue("topic"))
        yield kafka_store
        kafka_store.close()
    else:
        collection = MongoStore(request.getfixturevalue("mongo").uri, database)
        yield collection
        collection.client.close()


def owned(under_test: StoreUnderTest) -> CheckpointStore:
    """A store that owns the checkpoint."""
    store = under_test.open()
    assert acquired(store)
    return store


def acquired(store: CheckpointStore, seconds: float = ACQUIRE_SECONDS) -> bool:
    """Whether the store becomes the owner in time; asks again and again, as a bridge does."""
    deadline = time.monotonic() + seconds
    while store.acquire():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
