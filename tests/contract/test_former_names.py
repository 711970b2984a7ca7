"""A checkpoint in MongoDB that has the default name of earlier versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pymongo import MongoClient

from bridge.mongo.checkpoints import MongoCheckpointStore
from tests.support.factories import checkpoint
from tests.support.fakes import FakeClock
from tests.support.servers.mongo import MongoDeployment

LEASE = 30.0
OURS = "db.jobs"
FORMER = "job-bridge"
STORED = replace(checkpoint(3), name=FORMER, namespace=OURS)


@pytest.fixture
def client(mongo: MongoDeployment) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        yield client


@pytest.fixture
def former(client: MongoClient[dict[str, Any]], database: str) -> MongoCheckpointStore:
    """The store of an earlier version, which owns its checkpoint."""
    store = MongoCheckpointStore(client, database, FORMER, lease_seconds=LEASE, clock=FakeClock())
    assert store.acquire() == ""
    return store


def unnamed(
    client: MongoClient[dict[str, Any]], database: str, namespace: str = OURS
) -> MongoCheckpointStore:
    return MongoCheckpointStore(
        client, database, namespace, lease_seconds=LEASE, clock=FakeClock(), is_default_name=True
    )


def test_an_upgrade_resumes_from_the_former_checkpoint(
    client: MongoClient[dict[str, Any]], database: str, former: MongoCheckpointStore,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO", logger="bridge")
    former.save(STORED)
    former.release()
    store = unnamed(client, database)

    assert store.acquire() == ""
    assert store.load() == replace(STORED, epoch=2)
    store.save(replace(STORED, sequence=4, epoch=2))

    assert store.name == FORMER and store.where.endswith("(job-bridge)")
    assert [entry.name for entry in store.entries()] == [FORMER]
    assert len([line for line in caplog.messages if "earlier versions" in line]) == 1


@pytest.mark.parametrize("saved", [True, False])
def test_both_versions_agree_on_the_owner(
    client: MongoClient[dict[str, Any]], database: str, former: MongoCheckpointStore, saved: bool
) -> None:
    """Also while the owner of the earlier version has not stored a position yet."""
    if saved:
        former.save(STORED)

    assert "owns the checkpoint 'job-bridge'" in unnamed(client, database).acquire()


def test_a_clear_survives_the_upgrade(
    client: MongoClient[dict[str, Any]], database: str, former: MongoCheckpointStore
) -> None:
    former.save(STORED)
    former.replace(None)
    former.release()
    store = unnamed(client, database)

    assert store.load() is None
    assert store.cleared


@pytest.mark.parametrize("first_call", ["acquire", "load", "check_rights"])
def test_other_collections_use_their_own_name(
    client: MongoClient[dict[str, Any]], database: str, former: MongoCheckpointStore,
    first_call: str,
) -> None:  # fmt: skip
    former.save(STORED)
    store = unnamed(client, database, "db.pipelines")

    assert not getattr(store, first_call)()
    assert store.name == "db.pipelines"


@pytest.mark.parametrize("first_call", ["acquire", "load", "check_rights"])
def test_each_first_call_finds_the_name(
    client: MongoClient[dict[str, Any]], database: str, former: MongoCheckpointStore,
    first_call: str,
) -> None:  # fmt: skip
    former.save(STORED)
    store = unnamed(client, database)

    getattr(store, first_call)()

    assert store.name == FORMER
