"""A stored position never moves back, and vanishes only on purpose, in each kind of store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.errors import Fenced
from tests.support.factories import at, checkpoint
from tests.support.stores_under_test import StoreUnderTest, opened, owned


@pytest.fixture(params=["memory", "file", "mongo", "kafka"])
def under_test(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> Iterator[StoreUnderTest]:
    yield from opened(request, tmp_path, database)


@pytest.fixture(params=["file", "mongo"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[StoreUnderTest]:
    """A store outside the process, where others may remove things."""
    yield from opened(request, tmp_path, database)


@pytest.mark.parametrize("sequence", [3, 4], ids=["earlier", "same"])
def test_a_late_save_changes_nothing(under_test: StoreUnderTest, sequence: int) -> None:
    """A save whose reply was lost arrives after a later save of the same owner."""
    store = owned(under_test)
    store.save(checkpoint(8, sequence=4))

    store.save(checkpoint(7, sequence=sequence))

    assert store.load() == checkpoint(8, sequence=4)


def test_a_set_position_counts_on(under_test: StoreUnderTest) -> None:
    """Saves of the next owner are later than the position that was set back."""
    store = owned(under_test)
    store.save(checkpoint(8, sequence=4))

    store.replace(checkpoint(2))

    assert store.load() == checkpoint(2, sequence=5)
    store.save(checkpoint(7, sequence=4))
    assert store.load() == checkpoint(2, sequence=5)


def test_a_removal_is_known_until_the_next_save(under_test: StoreUnderTest) -> None:
    """A bridge that dies before its first save leaves the sign to the next."""
    first = owned(under_test)
    assert not first.cleared
    first.save(checkpoint(1))
    first.replace(None)
    first.release()

    second = owned(under_test)
    assert second.load() is None and second.cleared
    second.release()
    third = owned(under_test)
    assert third.load() is None and third.cleared

    third.save(checkpoint(2))
    third.load()
    assert not third.cleared


def test_the_list_has_position_and_owner(under_test: StoreUnderTest) -> None:
    store = owned(under_test)
    store.save(checkpoint(3))
    (entry,) = store.entries()
    assert entry.name == "bridge" and entry.owner
    assert entry.checkpoint is not None and entry.checkpoint.position == at(3)

    store.release()

    (entry,) = store.entries()
    assert not entry.owner


@pytest.mark.parametrize("act", ["save", "renew", "load", "release"])
def test_a_vanished_checkpoint_is_stored_again(
    kept: StoreUnderTest, act: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = owned(kept)
    last = checkpoint(5, sequence=3)
    store.save(last)

    kept.vanish()

    if act == "save":
        last = checkpoint(6, sequence=4)
        store.save(last)
    else:
        getattr(store, act)()
    stored = kept.open().load()
    assert stored is not None and replace(stored, epoch=1) == last
    assert "vanished: something removed" in caplog.text


def test_a_stopped_owner_leaves_a_vanished_checkpoint(kept: StoreUnderTest) -> None:
    """Only a living owner knows whether the removal was on purpose."""
    store = owned(kept)
    store.save(checkpoint(5))
    store.release()
    kept.vanish()

    with pytest.raises(Fenced):
        store.save(checkpoint(6, sequence=4))
    assert kept.open().load() is None
