"""The members of a checkpoint, as status and metrics show them."""

from __future__ import annotations

import pytest

from bridge.app.members import Members
from bridge.model.membership import Member, Membership
from bridge.model.owner_process import process_text, this_process
from bridge.observability.snapshot import OwnershipState
from tests.support.factories import settings
from tests.support.fakes import FakeClock, FakeStore, SharedCheckpoint

US = process_text(this_process())
OTHER = Member("the bridge with process 12 on host-a", 60.0)
THIRD = Member("the bridge with process 13 on host-b", 70.0)


class DescribedStore(FakeStore):
    """A store that shows members as they were described before."""

    def __init__(self) -> None:
        super().__init__(SharedCheckpoint(FakeClock()))
        self.described = Membership()

    def ownership(self) -> Membership:
        return self.described


@pytest.fixture
def store() -> DescribedStore:
    return DescribedStore()


@pytest.fixture
def members(store: DescribedStore) -> Members:
    return Members(settings(checkpoint__store="kafka"), store)


def test_a_standby_shows_the_owner(store: DescribedStore, members: Members) -> None:
    assert members.state() == OwnershipState(None, None, (), is_us=False)

    store.described = Membership(OTHER, (THIRD,))

    assert members.state() == OwnershipState(OTHER.name, 60.0, (THIRD.name,), is_us=False)


def test_a_take_over_shows_at_once(store: DescribedStore, members: Members) -> None:
    """The last description names the former owner; the next is seconds away."""
    store.described = Membership(OTHER, (Member(US),))
    store.acquire()

    assert members.state() == OwnershipState(US, None, None, is_us=True)
    store.described = Membership(Member(US, 90.0), (THIRD,), is_us=True)
    assert members.state() == OwnershipState(US, 90.0, (THIRD.name,), is_us=True)


def test_a_released_checkpoint_is_not_ours(store: DescribedStore, members: Members) -> None:
    store.described = Membership(Member(US, 90.0), (THIRD,), is_us=True)

    assert members.state() == OwnershipState(None, None, None, is_us=False)


@pytest.mark.parametrize(("kind", "standbys"), [("mongo", None), ("file", ())])
def test_other_stores_know_the_owner(kind: str, standbys: tuple[str, ...] | None) -> None:
    """MongoDB's lease does not show who waits for it."""
    shelf = SharedCheckpoint(FakeClock())
    owner, other = FakeStore(shelf), FakeStore(shelf)
    owner.acquire()
    chosen = settings(checkpoint__store=kind)

    assert Members(chosen, other).state() == OwnershipState(
        "another bridge", None, standbys, is_us=False
    )
    assert Members(chosen, owner).state() == OwnershipState(
        "this bridge", None, standbys, is_us=True
    )


def test_a_mode_without_position_has_no_owner(store: DescribedStore) -> None:
    chosen = settings(delivery__mode="background-jobs", sweep__job_tag="unsent")

    assert Members(chosen, store).state() is None
