"""What the tests of the commands share: settings, a bridge, the jobs collection and what Kafka received."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from bridge.demo.servers.mongod import Client, Mongod
from tests.support.jobs import Jobs
from tests.support.running import SECRET, Bridge, Ended, Given, command
from tests.support.servers.kafka import Kafka, required
from tests.support.sweeps import TAG

#: Kafka users of the locked broker; the password of each is its name and the secret.
USERS = ("whole", "plain", "mute")

Start = Callable[..., Bridge]


@pytest.fixture
def settings(mongo: Mongod, kafka: Kafka, database: str, topic: str) -> dict[str, str]:
    """Settings of a bridge of its own on the shared servers."""
    return {
        "mongo.uri": mongo.uri,
        "mongo.database": database,
        "kafka.bootstrap_servers": kafka.bootstrap,
        "kafka.topic": topic,
        "checkpoint.name": database,
        "http.port": "0",
        "log.format": "json",
    }


@pytest.fixture(scope="session")
def client(mongo: Mongod) -> Iterator[Client]:
    with MongoClient[Any](mongo.uri) as client:
        yield client


@pytest.fixture
def jobs(client: Client, database: str) -> Jobs:
    """The jobs collection, existing and empty."""
    client[database].create_collection("jobs")
    client[database]["jobs"].create_index("_update_time")
    return Jobs(client[database]["jobs"])


@pytest.fixture
def start(settings: dict[str, str], tmp_path: Path) -> Start:
    """Makes a bridge with some settings changed; enter it to run it."""
    return lambda **changed: Bridge({**settings, **_named(changed)}, tmp_path / "bridge.log")


@pytest.fixture
def refused(settings: dict[str, str], kafka: Kafka, topic: str) -> Callable[[Given], Ended]:
    """Runs a bridge that must end by itself, having sent nothing."""

    def run(changed: Given) -> Ended:
        ended = command("run", settings={**settings, **changed})
        assert kafka.read(topic) == [] == kafka.read(f"{topic}-dlq")
        return ended

    return run


@pytest.fixture(scope="session")
def locked_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Kafka with users: who may do nothing until granted; the topics ``granted`` and its ``-dlq`` exist."""
    required()
    users = {"admin": "admin", **{name: f"{name}-{SECRET}" for name in USERS}}
    with Kafka(tmp_path_factory.mktemp("locked-kafka"), users=users) as server:
        server.create_topic("granted", partitions=3)
        server.create_topic("granted-dlq", partitions=1)
        yield server


@pytest.fixture(scope="session")
def locked_mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A replica set of one node that knows its users."""
    with Mongod(tmp_path_factory.mktemp("locked-mongod"), auth=True) as server:
        yield server


def _named(changed: dict[str, str]) -> dict[str, str]:
    """``kafka__topic`` is ``kafka.topic``."""
    return {name.replace("__", "."): value for name, value in changed.items()}


@pytest.fixture
def by_job(settings: dict[str, str]) -> dict[str, str]:
    """A sweep of the tags of jobs."""
    return {**settings, "delivery.mode": "background-jobs", "sweep.job_tag": TAG}
