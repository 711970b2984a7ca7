"""A checkpoint that vanishes in MongoDB: its owner restores it, and only a single bridge does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from pymongo.errors import AutoReconnect

from bridge.errors import Fenced, Retryable
from bridge.mongo.checkpoints import MongoCheckpointStore
from tests.support.factories import at, checkpoint
from tests.support.fake_collection import FakeCollection
from tests.support.fakes import FakeClock

LEASE = 30.0


class VanishingScenario:
    """Stores of a name on one clock, as on different hosts."""

    def __init__(self) -> None:
        self.collection = FakeCollection()
        self.clock = FakeClock()

    def open(self) -> MongoCheckpointStore:
        return MongoCheckpointStore(
            cast(Any, self.collection), "db", "bridge", lease_seconds=LEASE, clock=self.clock
        )

    def owner(self) -> MongoCheckpointStore:
        store = self.open()
        self.elapse(lambda: not store.acquire())
        return store

    def elapse(self, until: Callable[[], bool], seconds: float = 2 * LEASE) -> float:
        """Let time pass until something is true; return the seconds."""
        started = self.clock.time
        while not until():
            assert self.clock.time - started < seconds, "nothing happened"
            self.clock.advance(0.5)
        return self.clock.time - started

    def vanish(self) -> None:
        self.collection.documents.clear()

    @property
    def document(self) -> dict[str, Any]:
        return self.collection.documents["bridge"]


@pytest.fixture
def scenario(monkeypatch: pytest.MonkeyPatch) -> VanishingScenario:
    monkeypatch.setattr("bridge.mongo.checkpoint_document.is_dead", lambda _: False)
    return VanishingScenario()


def renews(store: MongoCheckpointStore) -> bool:
    """Return whether the store need not wait."""
    try:
        store.renew()
    except Retryable:
        return False
    return True


def test_a_renewal_restores_under_a_raised_epoch(scenario: VanishingScenario) -> None:
    owner = scenario.owner()
    owner.save(checkpoint(5, sequence=2))
    scenario.vanish()

    owner.renew()

    assert (scenario.document["token"], scenario.document["epoch"]) == (at(5).token, 2)
    assert owner.epoch == 2


def test_the_ownership_is_restored_before_any_save(scenario: VanishingScenario) -> None:
    owner = scenario.owner()
    scenario.vanish()

    owner.renew()

    assert owner.load() is None
    assert scenario.open().acquire() != ""


def test_a_standby_leaves_the_restoring_to_the_owner(scenario: VanishingScenario) -> None:
    owner, standby = scenario.owner(), scenario.open()
    owner.save(checkpoint(5))
    standby.acquire()
    scenario.vanish()

    assert "vanished" in standby.acquire()

    owner.renew()
    assert standby.acquire() != ""


def test_a_standby_restores_for_a_dead_owner(scenario: VanishingScenario) -> None:
    """It has read the position shortly before."""
    owner, standby = scenario.owner(), scenario.open()
    owner.save(checkpoint(5))
    standby.acquire()
    scenario.vanish()

    waited = scenario.elapse(lambda: not standby.acquire())

    assert LEASE <= waited <= LEASE + 2
    stored = standby.load()
    assert stored is not None and stored.position == at(5)


def test_a_deposed_owner_leaves_restoring_to_its_successor(scenario: VanishingScenario) -> None:
    """It was unreachable for longer than the lease, and knows an old position only."""
    first = scenario.owner()
    first.save(checkpoint(1))
    second = scenario.owner()
    second.save(checkpoint(8, sequence=4))
    scenario.vanish()

    with pytest.raises(Retryable, match="unless another bridge took over"):
        first.renew()

    second.renew()
    with pytest.raises(Fenced):
        first.renew()
    stored = second.load()
    assert stored is not None and stored.position == at(8)


def test_an_owner_restores_after_a_long_outage(scenario: VanishingScenario) -> None:
    """The store was away for longer than the lease and came back empty; there is no successor."""
    owner = scenario.owner()
    owner.save(checkpoint(5))
    scenario.vanish()
    scenario.clock.advance(10 * LEASE)

    waited = scenario.elapse(lambda: renews(owner))

    assert LEASE <= waited <= LEASE + 2
    stored = owner.load()
    assert stored is not None and stored.position == at(5)


def test_only_one_of_two_owners_restores(scenario: VanishingScenario) -> None:
    """Another bridge inserts the document between the owner's look and its own insert."""
    owner, other = scenario.owner(), scenario.open()
    owner.save(checkpoint(5))
    scenario.vanish()
    insert = scenario.collection.insert_one

    def lose_race(document: dict[str, Any]) -> None:
        scenario.collection.insert_one = insert  # type: ignore[method-assign]
        assert other.acquire() == ""
        other.save(checkpoint(7))
        insert(document)

    scenario.collection.insert_one = lose_race  # type: ignore[method-assign]
    with pytest.raises(Fenced):
        owner.renew()

    stored = other.load()
    assert stored is not None and stored.position == at(7)


def test_a_lost_reply_to_the_insert_is_harmless(scenario: VanishingScenario) -> None:
    owner = scenario.owner()
    owner.save(checkpoint(5))
    scenario.vanish()
    insert = scenario.collection.insert_one

    def lose_reply(document: dict[str, Any]) -> None:
        scenario.collection.insert_one = insert  # type: ignore[method-assign]
        insert(document)
        raise AutoReconnect("connection reset")

    scenario.collection.insert_one = lose_reply  # type: ignore[method-assign]
    with pytest.raises(Retryable):
        owner.renew()

    owner.save(checkpoint(6, sequence=1))
    assert (scenario.document["token"], scenario.document["epoch"]) == (at(6).token, 2)


def test_a_newcomer_without_a_position_leaves_it(scenario: VanishingScenario) -> None:
    """It made the document again and refuses to start without a position, or has not yet."""
    owner, newcomer = scenario.owner(), scenario.open()
    owner.save(checkpoint(5))
    scenario.vanish()
    assert newcomer.acquire() == "" and newcomer.load() is None

    owner.renew()

    stored = owner.load()
    assert stored is not None and stored.position == at(5)
    with pytest.raises(Fenced):
        newcomer.save(checkpoint(9))


def test_a_checkpoint_removed_on_purpose_stays_removed(scenario: VanishingScenario) -> None:
    """The owner was frozen for longer than the lease; meanwhile the checkpoint was cleared."""
    frozen = scenario.owner()
    frozen.save(checkpoint(5))
    command = scenario.owner()
    command.replace(None)
    command.release()

    with pytest.raises(Fenced):
        frozen.renew()

    assert "token" not in scenario.document
