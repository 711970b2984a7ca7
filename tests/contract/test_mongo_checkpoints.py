"""The checkpoint store in MongoDB: remote leases, documents of other versions, and damage."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from pymongo import MongoClient

from bridge.clock import Clock
from bridge.errors import CheckpointUnusable, NotPermitted, Retryable
from bridge.model.membership import Member, Membership
from bridge.model.owner_process import process_text, this_process
from bridge.mongo.checkpoints import COLLECTION, MongoCheckpointStore
from tests.support.factories import at, checkpoint
from tests.support.fakes import FakeClock
from tests.support.servers.mongo import MongoDeployment

LEASE = 30.0


@pytest.fixture
def client(mongo: MongoDeployment) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        yield client


def store(
    client: MongoClient[dict[str, Any]], database: str, clock: Clock | None = None
) -> MongoCheckpointStore:
    return MongoCheckpointStore(client, database, "bridge", lease_seconds=LEASE, clock=clock)


def owned_elsewhere(client: MongoClient[dict[str, Any]], database: str, **owner: Any) -> None:
    """Store an owner on another host, as bridges before 0.3 do."""
    stored_owner = this_process() | {"host": "elsewhere/1/2", "pid": 4242} | owner
    client[database][COLLECTION].update_one(
        {"_id": "bridge"},
        [{"$set": {"owner": {"$literal": stored_owner}, "epoch": 5, "renewed_at": "$$NOW"}}],
        upsert=True,
    )


def acquired_after(standby: MongoCheckpointStore, clock: FakeClock) -> float:
    """Poll until the standby is the owner; return the seconds that its clock shows."""
    started = clock.time
    while standby.acquire():
        assert clock.time - started < 3 * LEASE, "no standby takes over"
        clock.advance(0.5)
    return clock.time - started


def test_an_owner_on_another_host_is_named(
    client: MongoClient[dict[str, Any]], database: str
) -> None:
    owned_elsewhere(client, database)

    blocker = store(client, database).acquire()

    assert (
        blocker
        == "the bridge with process 4242 on elsewhere owns the checkpoint 'bridge' and renews it"
    )


def test_a_reused_process_id_is_not_the_owner(
    client: MongoClient[dict[str, Any]], database: str
) -> None:
    owned_elsewhere(client, database, **(this_process() | {"start": "1"}))

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


def test_a_list_names_the_damaged_record(
    client: MongoClient[dict[str, Any]], database: str
) -> None:
    checkpoints = store(client, database)
    checkpoints.acquire()
    checkpoints.save(checkpoint(1))
    client[database][COLLECTION].update_one({"_id": "bridge"}, {"$unset": {"token": ""}})
    other = MongoCheckpointStore(client, database, "other", lease_seconds=LEASE)

    (entry,) = other.entries()

    assert f"{database}.{COLLECTION} (bridge)" in entry.damage


@pytest.mark.parametrize(
    "damage", [{"epoch": "many"}, {"renewed_at": "never"}, {"owner": "nobody"}]
)
def test_damage_to_the_ownership_keeps_nobody_out(
    client: MongoClient[dict[str, Any]], database: str, damage: dict[str, Any]
) -> None:
    owned_elsewhere(client, database)
    client[database][COLLECTION].update_one({"_id": "bridge"}, {"$set": damage})

    clock = FakeClock()
    assert acquired_after(store(client, database, clock), clock) <= LEASE * 1.5


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

    assert caught.value.part == "mongodb"


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


def test_the_owner_is_known_without_a_question(
    client: MongoClient[dict[str, Any]], database: str
) -> None:
    """A closed client cannot ask."""
    clock = FakeClock()
    owner, standby = store(client, database, clock), store(client, database, clock)
    assert owner.ownership() == Membership()
    owner.acquire()
    clock.advance(5.0)
    standby.acquire()
    us = Member(process_text(this_process()), clock.now() - 5.0)
    assert owner.ownership() == Membership(us, is_us=True)
    assert standby.ownership() == Membership(us)
    owner.save(checkpoint(1))
    assert owner.ownership() == Membership(us, is_us=True)
    owner.release()
    client.close()

    assert owner.ownership() == Membership()
    assert standby.ownership() == Membership(us)
