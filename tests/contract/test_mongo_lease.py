"""The lease of a checkpoint in MongoDB: a standby judges it on its own monotonic clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect

from bridge.errors import Fenced, Retryable
from bridge.mongo.checkpoints import COLLECTION, MongoCheckpointStore
from tests.support.factories import checkpoint
from tests.support.fakes import FakeClock
from tests.support.servers.mongo import MongoDeployment

Documents = Collection[dict[str, Any]]

LEASE = 30.0
NAME = {"_id": "bridge"}
#: How often a standby polls, and how often an owner renews.
POLL, RENEW = LEASE / 20, LEASE / 3


class JumpingClock(FakeClock):
    """Its wall clock may jump by hours."""

    offset = 0.0

    def now(self) -> float:
        return super().now() + self.offset


class LeaseScenario:
    """An owner and a standby; ``elapse`` lets both work as their bridges do."""

    def __init__(self, client: MongoClient[dict[str, Any]], database: str) -> None:
        self.clock = JumpingClock()
        self.standby_clock = JumpingClock()
        self.documents: Documents = client[database][COLLECTION]
        self.owner = self._store(client, database, self.clock)
        self.standby = self._store(client, database, self.standby_clock)
        assert self.owner.acquire() == ""
        self.owner.save(checkpoint(1))
        # As on another host: a dead process of this host is replaced at once.
        assert self.standby.acquire() != ""

    @staticmethod
    def _store(
        client: MongoClient[dict[str, Any]], database: str, clock: FakeClock
    ) -> MongoCheckpointStore:
        return MongoCheckpointStore(client, database, "bridge", lease_seconds=LEASE, clock=clock)

    def elapse(
        self, seconds: float, *, renews: bool = True, each_poll: Callable[[], None] = lambda: None
    ) -> float | None:
        """Let time pass; return after how long the standby took over, None if it did not."""
        polls = round(seconds / POLL)
        for number in range(1, polls + 1):
            self.clock.advance(POLL)
            self.standby_clock.advance(POLL)
            if renews and number % round(RENEW / POLL) == 0:
                self.owner.renew()
            each_poll()
            if not self.standby.acquire():
                return number * POLL
        return None

    def set(self, **fields: Any) -> None:
        self.documents.update_one(NAME, {"$set": fields})


@pytest.fixture
def scenario(mongo: MongoDeployment, database: str) -> Iterator[LeaseScenario]:
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        yield LeaseScenario(client, database)


def test_a_silent_owner_is_replaced_after_the_lease(scenario: LeaseScenario) -> None:
    took = scenario.elapse(2 * LEASE, renews=False)

    assert took is not None and LEASE <= took <= LEASE + 2 * POLL
    with pytest.raises(Fenced):
        scenario.owner.renew()


@pytest.mark.parametrize("hours", [-5, 5], ids=["back", "forward"])
@pytest.mark.parametrize("whose", ["server", "owner", "standby"])
def test_a_jumping_clock_deposes_nobody(scenario: LeaseScenario, whose: str, hours: int) -> None:
    """A clock that steps in either direction, again and again, is no reason to take over."""

    def jump() -> None:
        if whose == "server":
            wrong = datetime.now(timezone.utc) + timedelta(hours=hours)
            scenario.set(renewed_at=wrong)
        elif whose == "owner":
            scenario.clock.offset += hours * 3600
        else:
            scenario.standby_clock.offset += hours * 3600

    assert scenario.elapse(3 * LEASE, each_poll=jump) is None
    scenario.owner.save(checkpoint(2, sequence=1))


@pytest.mark.parametrize("hours", [-5, 5], ids=["back", "forward"])
@pytest.mark.parametrize("whose", ["server", "standby"])
def test_a_jumping_clock_keeps_nobody_out(scenario: LeaseScenario, whose: str, hours: int) -> None:
    """The owner is gone, and the clock jumped before: the standby waits for a lease only."""
    if whose == "server":
        scenario.set(renewed_at=datetime.now(timezone.utc) + timedelta(hours=hours))
    else:
        scenario.standby_clock.offset += hours * 3600

    took = scenario.elapse(2 * LEASE, renews=False)

    assert took is not None and took <= LEASE + 3 * POLL


def test_an_unreachable_store_deposes_nobody(
    scenario: LeaseScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was unreachable for two leases; then the owner renews before a lease is over."""

    def refuse(*_: object, **__: object) -> None:
        raise AutoReconnect("connection refused")

    assert scenario.elapse(0.9 * RENEW) is None
    with monkeypatch.context() as patch:
        patch.setattr(Collection, "find_one", refuse)
        for _ in range(round(2 * LEASE / POLL)):
            scenario.clock.advance(POLL)
            scenario.standby_clock.advance(POLL)
            with pytest.raises(Retryable):
                scenario.standby.acquire()

    assert scenario.standby.acquire() != ""
    assert scenario.elapse(0.9 * LEASE, renews=False) is None
    scenario.owner.renew()
    assert scenario.elapse(2 * LEASE) is None


@pytest.mark.parametrize("pause", [2 * LEASE, 3600.0], ids=["two leases", "an hour"])
def test_a_frozen_store_or_standby_deposes_nobody(scenario: LeaseScenario, pause: float) -> None:
    """A long pause between two reads is no proof: the owner may have been unable to renew too."""
    assert scenario.elapse(0.5 * LEASE, renews=False) is None

    scenario.standby_clock.advance(pause)

    assert scenario.standby.acquire() != ""
    scenario.owner.renew()
    assert scenario.elapse(2 * LEASE) is None


def test_a_renewal_in_the_last_moment_counts(
    scenario: LeaseScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The take-over is conditional on the ownership that was seen."""
    assert scenario.elapse(LEASE - 2 * POLL, renews=False) is None
    take_over = Collection.find_one_and_update
    renewals: list[str] = []

    def renew_before(self: Documents, *arguments: Any, **options: Any) -> Any:
        scenario.owner.renew()
        renewals.append("renewed")
        return take_over(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Collection, "find_one_and_update", renew_before)
        assert scenario.elapse(4 * POLL, renews=False) is None

    assert renewals
    scenario.owner.save(checkpoint(2, sequence=1))


def test_an_older_version_keeps_its_lease(scenario: LeaseScenario) -> None:
    """It renews ``renewed_at`` only, and its ``owner`` has three fields."""
    scenario.set(owner={"host": "elsewhere", "pid": 7, "start": "1"})

    def renew() -> None:
        scenario.documents.update_one(NAME, {"$currentDate": {"renewed_at": True}})

    assert scenario.elapse(2 * LEASE, renews=False, each_poll=renew) is None
    assert scenario.elapse(2 * LEASE, renews=False) is not None


def test_an_older_version_reads_the_document(scenario: LeaseScenario) -> None:
    """It regards fields beside these as part of the checkpoint."""
    scenario.owner.replace(None)
    scenario.owner.release()
    assert scenario.standby.acquire() == ""
    scenario.standby.renew()

    document = scenario.documents.find_one(NAME)

    assert document is not None
    assert document.keys() == {"_id", "owner", "epoch", "renewed_at"}
    assert {"host", "pid", "start"} <= document["owner"].keys()
    assert isinstance(document["renewed_at"], datetime)


def test_a_lost_reply_leaves_the_owner_in_place(
    scenario: LeaseScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The take-over was made, and the standby did not learn of it."""
    take_over = Collection.find_one_and_update

    def lose_reply(self: Documents, *arguments: Any, **options: Any) -> Any:
        take_over(self, *arguments, **options)
        raise AutoReconnect("connection reset")

    scenario.owner.release()
    with monkeypatch.context() as patch:
        patch.setattr(Collection, "find_one_and_update", lose_reply)
        with pytest.raises(Retryable):
            scenario.standby.acquire()

    assert scenario.standby.acquire() == ""
    assert scenario.standby.epoch == 2
    scenario.standby.save(checkpoint(3, sequence=1))
