"""The contract of a checkpoint store, for the fake, the file, the collection and the topic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bridge.errors import CheckpointUnusable, Fenced
from bridge.kafka.state_errors import PositionMissing
from bridge.model.position import ClusterTime, Position, position_before
from tests.support.factories import at, checkpoint
from tests.support.stores_under_test import MongoStore, StoreUnderTest, opened, owned


@pytest.fixture(params=["memory", "file", "mongo", "kafka"])
def under_test(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> Iterator[StoreUnderTest]:
    yield from opened(request, tmp_path, database)


@pytest.fixture(params=["memory", "mongo"])
def leased(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> Iterator[StoreUnderTest]:
    """A store where an ownership expires; a lock does not."""
    yield from opened(request, tmp_path, database)


def test_a_new_store_holds_nothing(under_test: StoreUnderTest) -> None:
    assert owned(under_test).load() is None


@pytest.mark.parametrize(
    "position", [at(7), Position(at(7).token, "8040"), position_before(ClusterTime(5, 6))]
)
def test_the_next_owner_loads_the_saved_checkpoint(
    under_test: StoreUnderTest, position: Position
) -> None:
    store = owned(under_test)
    saved = checkpoint(epoch=store.epoch).moved(position, 99.5)

    store.save(saved)

    assert store.load() == saved
    assert under_test.open().load() == saved


def test_the_last_save_counts(under_test: StoreUnderTest) -> None:
    store = owned(under_test)
    for number in range(1, 5):
        store.save(checkpoint(number, epoch=store.epoch, sequence=number))

    assert store.load() == checkpoint(4, epoch=store.epoch, sequence=4)


def test_the_epoch_grows_with_each_owner(under_test: StoreUnderTest) -> None:
    """The epoch is zero before the first owner."""
    epochs = [under_test.open().epoch]
    for number in range(3):
        store = owned(under_test)
        epochs.append(store.epoch)
        store.save(checkpoint(epoch=store.epoch, sequence=number))
        store.release()

    assert epochs == [0, 1, 2, 3]


def test_the_stored_epoch_is_the_owners(under_test: StoreUnderTest) -> None:
    """The epoch in the saved checkpoint does not matter."""
    store = owned(under_test)

    store.save(checkpoint(epoch=55))

    stored = store.load()
    assert stored is not None and stored.epoch == store.epoch == 1


def test_the_owner_may_ask_again(under_test: StoreUnderTest) -> None:
    store = owned(under_test)

    assert store.acquire() == ""
    assert store.epoch == 1


def test_a_second_bridge_waits_or_is_refused(under_test: StoreUnderTest) -> None:
    """A store that supports standby names the owner; the others refuse."""
    owner = owned(under_test)
    second = under_test.open()

    if under_test.stands_by:
        assert "bridge" in second.acquire()
    else:
        with pytest.raises(Fenced, match="Another process owns"):
            second.acquire()

    assert second.epoch == 0
    owner.save(checkpoint(epoch=1, sequence=1))


def test_a_release_lets_the_next_in_at_once(under_test: StoreUnderTest) -> None:
    first = owned(under_test)
    first.save(checkpoint(3, epoch=1))
    first.release()

    second = owned(under_test)

    assert second.epoch == 2
    stored = second.load()
    assert stored is not None and stored.position == at(3)


def test_who_gave_the_ownership_back_cannot_save(under_test: StoreUnderTest) -> None:
    store = owned(under_test)
    store.save(checkpoint(1, epoch=1))
    store.release()

    with pytest.raises(Fenced):
        store.save(checkpoint(2, epoch=1, sequence=1))

    stored = under_test.open().load()
    assert stored is not None and stored.position == at(1)


def test_a_dead_local_owner_is_replaced_at_once(under_test: StoreUnderTest) -> None:
    under_test.dead()

    assert owned(under_test).epoch >= 1


def test_a_silent_owner_is_replaced_and_fenced(leased: StoreUnderTest) -> None:
    """A replaced owner can no longer save."""
    first, second = owned(leased), leased.open()
    first.save(checkpoint(1, epoch=1))
    assert second.acquire() != ""

    leased.silent()
    assert second.acquire() == ""

    assert second.epoch == 2
    for write in (
        first.renew,
        lambda: first.save(checkpoint(9, epoch=1, sequence=9)),
        lambda: first.replace(None),
    ):
        with pytest.raises(Fenced, match="took over"):
            write()
    stored = second.load()
    assert stored is not None and stored.position == at(1)
    assert first.acquire() != ""


@pytest.mark.parametrize("how", ["renew", "save"])
def test_an_owner_that_renews_or_saves_stays(leased: StoreUnderTest, how: str) -> None:
    owner, second = owned(leased), leased.open()
    leased.silent()

    owner.renew() if how == "renew" else owner.save(checkpoint(1, epoch=1))

    assert second.acquire() != ""


def test_a_late_release_leaves_the_new_owner(leased: StoreUnderTest) -> None:
    first, second, third = owned(leased), leased.open(), leased.open()
    leased.silent()
    second.acquire()

    first.release()

    assert third.acquire() != ""
    second.renew()


def test_clearing_the_checkpoint_keeps_the_ownership(under_test: StoreUnderTest) -> None:
    store = owned(under_test)
    store.save(checkpoint(1, epoch=1))

    store.replace(None)

    assert store.load() is None
    store.save(checkpoint(2, epoch=1))
    assert store.load() == checkpoint(2, epoch=1)


def test_a_removed_name_leaves_nothing(under_test: StoreUnderTest) -> None:
    store = owned(under_test)
    store.save(checkpoint(5, epoch=1))

    store.remove()

    assert store.epoch == 0
    with pytest.raises(Fenced):
        store.save(checkpoint(6, epoch=1, sequence=6))
    store.release()
    assert under_test.open().entries() == []
    successor = owned(under_test)
    assert successor.epoch == 1 and not successor.cleared
    with suppress(PositionMissing):  # In Kafka the tombstone shows that there was a bridge.
        assert successor.load() is None


def test_only_the_owner_may_remove_a_name(under_test: StoreUnderTest) -> None:
    owned(under_test).save(checkpoint(5, epoch=1))

    with pytest.raises(Fenced):
        under_test.open().remove()

    (entry,) = under_test.open().entries()
    assert entry.checkpoint is not None and entry.checkpoint.position == at(5)


def test_the_owner_may_set_the_checkpoint_back(under_test: StoreUnderTest) -> None:
    store = owned(under_test)
    store.save(checkpoint(5, epoch=1))

    store.replace(checkpoint(2, epoch=1))

    stored = store.load()
    assert stored is not None and stored.position == at(2)


def test_damage_is_refused_and_can_be_repaired(under_test: StoreUnderTest) -> None:
    store = owned(under_test)
    store.save(checkpoint(1, epoch=1))
    under_test.damage()

    with pytest.raises(CheckpointUnusable):
        store.load()

    store.replace(checkpoint(2, epoch=store.epoch))
    stored = store.load()
    assert stored is not None and stored.position == at(2)


def test_a_new_owner_may_repair_a_damaged_checkpoint(under_test: StoreUnderTest) -> None:
    first = owned(under_test)
    first.save(checkpoint(1, epoch=1))
    first.release()
    under_test.damage()

    second = owned(under_test)

    with pytest.raises(CheckpointUnusable):
        second.load()
    second.replace(None)
    assert second.load() is None


def test_the_checkpoint_of_another_name_is_ignored(under_test: StoreUnderTest) -> None:
    owned(under_test).save(checkpoint(1))
    other = under_test.open("other")

    if isinstance(under_test, MongoStore):
        assert other.load() is None
        assert other.acquire() == "", "bridges of two names do not meet"
    else:
        with pytest.raises(CheckpointUnusable, match=r"belongs to|no position of 'other'"):
            other.load()


def test_looking_at_the_rights_changes_nothing(under_test: StoreUnderTest) -> None:
    under_test.open().check_rights()
    assert under_test.open().load() is None

    store = owned(under_test)
    store.save(checkpoint(1, epoch=1))
    under_test.open().check_rights()

    assert store.load() == checkpoint(1, epoch=1)
    store.renew()
