"""MongoDB is up and cannot be used: jobs and checkpoint report the same cause."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from bridge.app.wiring import make_source, make_store
from bridge.demo.servers.process import poll
from bridge.errors import BridgeError, Retryable
from bridge.mongo.client import state_client
from tests.support.factories import settings
from tests.support.servers.mongo import MongoDeployment


def failures(uri: str) -> list[BridgeError]:
    """The errors of the jobs collection and of the checkpoint."""
    given = settings(mongo__uri=uri)
    found: list[BridgeError] = []
    with closing(state_client(given)) as client, closing(make_source(given, client)) as source:
        for call in (source.deployment, make_store(given, client).acquire):
            try:
                call()
            except BridgeError as error:
                found.append(error)
    return found


def test_a_standalone_is_advised_to_change(tmp_path: Path) -> None:
    with MongoDeployment(tmp_path, replica_set=None) as standalone:
        of_jobs, of_checkpoint = failures(f"{standalone.uri}?replicaSet=rs0")

    for error in (of_jobs, of_checkpoint):
        assert type(error) is Retryable and error.part == "mongodb"
        assert error.what.startswith("No server of mongo.uri belongs to its replicaSet")
        assert "if mongod is a standalone, it becomes a replica set" in error.todo


def test_a_set_without_primary_is_told_so(tmp_path: Path) -> None:
    with MongoDeployment(tmp_path, nodes=3) as three:
        primary = three.primary_index()
        for index in {0, 1, 2} - {primary}:
            three.kill(index)
        poll(lambda: len(failures(three.uri)) == 2, "the end of the primary")
        of_jobs, of_checkpoint = failures(three.uri)

    for error in (of_jobs, of_checkpoint):
        assert type(error) is Retryable and error.part == "mongodb"
        assert error.what.startswith("No primary of MongoDB can be reached")
        assert "rs.status()" in error.todo and "standalone" not in error.todo
