"""The checkpoint store in MongoDB: remote leases by the server's clock, damaged documents."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from pymongo import MongoClient

from bridge.errors import CheckpointUnusable, Fenced, NotPermitted, Retryable
from bridge.mongo.checkpoints import COLLECTION, MongoCheckpointStore
from bridge.mongo.lease_owner import this_process
from tests.support.factories import at, checkpoint
from tests.support.servers.mongo import MongoDeployment

LEASE = 30.0


@pytest.fixture
def client(mongo: MongoDeployment) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        yield client


def store(client: MongoClient[dict[str, Any]], database: str) -> MongoCheckpointStore:
    return MongoCheckpointStore(client, database, "bridge", lease_seconds=LEASE)


def owned_elsewhere(
    client: MongoClient[dict[str, Any]], database: str, silent_seconds: float, **owner: Any
) -> None:
    stored_owner = this_process() | {"host": "elsewhere/1/2", "pid": 4242} | owner
    renewed = {"$subtract": ["$$NOW", int(silent_seconds * 1000)]}
    client[database][COLLECTION].update_one(
        {"_id": "bridge"},
        [{"$set": {"owner": {"$literal": stored_owner}, "epoch": 5, "renewed_at": renewed}}],
        upsert=True,
    )


def test_an_owner_on_another_host_is_named(
    client: MongoClient[dict[str, Any]], database: str
) -> None:
    owned_elsewhere(client, database, silent_seconds=LEASE - 10)

    blocker = store(client, database).acquire()

    assert (
        blocker
        == "the bridge with process 4242 on elsewhere owns the checkpoint 'bridge' and renews it"
    )


def test_the_servers_clock_decides_about_a_remote_owner(
    client: MongoClient[dict[str, Any]], database: str
) -> None:
    """A silent owner on another host is replaced when the lease has passed on the server."""
    owned_elsewhere(client, database, silent_seconds=LEASE + 1)
    newcomer = store(client, database)

    assert newcomer.acquire() == ""
    assert newcomer.epoch == 6


def test_a_reused_process_id_is_not_the_owner(
    client: MongoClient[dict[str, Any]], database: str
) -> None:
    owned_elsewhere(client, database, 0, **(this_process() | {"start": "1"}))

    assert store(client, database).acquire() == ""


def test_many_standbys_at_once_get_one_owner(
    client: MongoClient[dict[str, Any]], database: str
) -> None:
    together = Barrier(8)

    def acquire(standby: MongoCheckpointStore) -> str:
        together.wait(20)
        return standby.acquire()

    stores = [store(client, database) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(acquire, stores))

    assert answers.count("") == 1
    assert client[database][COLLECTION].find_one({"_id": "bridge"})["epoch"] == 1  # type: ignore[index]


def test_a_save_does_not_recreate_a_removed_document(
    client: MongoClient[dict[str, Any]], database: str
) -> None:
    checkpoints = store(client, database)
    checkpoints.acquire()
    client[database][COLLECTION].delete_many({})

    with pytest.raises(Fenced):
        checkpoints.save(checkpoint(1))

    assert client[database][COLLECTION].count_documents({}) == 0


@pytest.mark.parametrize("field", ["token", "format", "cluster_time", "fingerprint"])
def test_a_record_without_a_field_is_damaged(
    client: MongoClient[dict[str, Any]], database: str, field: str
) -> None:
    """It is never mistaken for a first start."""
    checkpoints = store(client, database)
    checkpoints.acquire()
    checkpoints.save(checkpoint(1))
    client[database][COLLECTION].update_one({"_id": "bridge"}, {"$unset": {field: ""}})

    with pytest.raises(CheckpointUnusable, match="damaged"):
        checkpoints.load()

    checkpoints.replace(None)
    assert checkpoints.load() is None


@pytest.mark.parametrize(
    "damage", [{"epoch": "many"}, {"renewed_at": "never"}, {"owner": "nobody"}]
)
def test_damage_to_the_ownership_keeps_nobody_out(
    client: MongoClient[dict[str, Any]], database: str, damage: dict[str, Any]
) -> None:
    owned_elsewhere(client, database, silent_seconds=LEASE + 1)
    client[database][COLLECTION].update_one({"_id": "bridge"}, {"$set": damage})

    assert store(client, database).acquire() == ""


def test_a_save_waits_for_the_majority(client: MongoClient[dict[str, Any]], database: str) -> None:
    checkpoints = store(client, database)
    checkpoints.acquire()

    concern = checkpoints._collection.write_concern.document

    assert concern == {"w": "majority"}


def test_a_store_out_of_reach_is_waited_for() -> None:
    client = MongoClient[dict[str, Any]]("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50")
    with (
        client,
        pytest.raises(Retryable, match="MongoDB refuses connections") as caught,
    ):
        store(client, "db").acquire()

    assert caught.value.part == "checkpoint"


def test_a_missing_permission_names_the_grant(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with (
        MongoDeployment(tmp_path_factory.mktemp("guarded"), auth=True) as server,
        MongoClient[dict[str, Any]](server.uri) as nobody,
    ):
        with pytest.raises(NotPermitted, match="Grant find, insert and update"):
            store(nobody, "db").check_rights()
        with pytest.raises(NotPermitted):
            store(nobody, "db").acquire()


def test_the_stored_checkpoint_is_readable(
    client: MongoClient[dict[str, Any]], database: str
) -> None:
    checkpoints = store(client, database)
    checkpoints.acquire()
    checkpoints.save(checkpoint(1))

    document = client[database][COLLECTION].find_one({"_id": "bridge"})

    assert document is not None
    assert (
        document["token"] == at(1).token
        and document["namespace"] == "db.jobs"
        and document["owner"]["pid"] > 0
    )
