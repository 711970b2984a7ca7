"""Progress: when the position is stored, and how the ownership is kept meanwhile."""

from __future__ import annotations

import pytest

from bridge.errors import Fenced, Retryable
from bridge.metrics import Counters
from bridge.model.policy import CheckpointPolicy
from bridge.pipeline.progress import Progress
from tests.factories import at, checkpoint
from tests.fakes import FakeClock, FakeStore, Shelf


class Desk:
    def __init__(self) -> None:
        self.clock, self.counters = FakeClock(), Counters()
        self.shelf = Shelf(self.clock)
        self.store = FakeStore(self.shelf)
        self.store.acquire()
        self.progress = Progress(
            self.store, checkpoint(5), CheckpointPolicy(interval=1.0, idle=10.0), 3.0, self.clock, self.counters
        )

    def settled(self, number: int, after: float = 0.0) -> None:
        self.counters.acked += 1
        self.clock.advance(after)
        self.progress.remember(at(number))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_settled_position_is_stored_after_the_interval_and_not_before(desk: Desk) -> None:
    desk.settled(6, after=0.9)
    assert desk.shelf.saves == []

    desk.settled(7, after=0.1)
    assert [one.position for one in desk.shelf.saves] == [at(7)]
    assert desk.counters.checkpoints == 1


def test_each_save_counts_one_more_and_knows_when(desk: Desk) -> None:
    desk.settled(6, after=1.0)
    desk.settled(7, after=1.0)

    assert [one.sequence for one in desk.shelf.saves] == [1, 2]
    assert [one.saved_at for one in desk.shelf.saves] == [1_700_001_001.0, 1_700_001_002.0]
    assert desk.progress.stored == desk.shelf.saves[-1]


def test_a_position_that_only_passed_noise_by_is_stored_seldom(desk: Desk) -> None:
    desk.clock.advance(9.9)
    desk.progress.remember(at(6))
    assert desk.shelf.saves == []

    desk.clock.advance(0.1)
    desk.progress.remember(at(7))
    assert [one.position for one in desk.shelf.saves] == [at(7)]


def test_the_position_never_goes_back(desk: Desk) -> None:
    desk.settled(3, after=60.0)
    desk.progress.reached(at(2))
    desk.progress.save()

    assert desk.progress.position == at(5)
    assert desk.shelf.saves == []


def test_an_unmoved_position_is_not_stored_again_but_the_ownership_is_kept(desk: Desk) -> None:
    for _ in range(60):
        desk.clock.advance(0.5)
        desk.progress.remember(at(5))

    assert desk.shelf.saves == []
    assert desk.store.renewals == 10


def test_a_save_keeps_the_ownership_too(desk: Desk) -> None:
    for number in range(6, 12):
        desk.settled(number, after=1.0)

    assert desk.store.renewals == len(desk.shelf.saves) == 6


def test_a_save_that_failed_is_tried_again_with_the_newest_position(desk: Desk) -> None:
    desk.store.failure = Retryable("the store is away")
    with pytest.raises(Retryable):
        desk.settled(6, after=1.0)
    assert desk.progress.position == at(6)
    assert desk.counters.checkpoints == 0

    desk.settled(7)
    assert [(one.position, one.sequence) for one in desk.shelf.saves] == [(at(7), 1)]


def test_who_was_deposed_hears_it_with_the_next_save_or_renewal(desk: Desk) -> None:
    desk.shelf.owner = None

    with pytest.raises(Fenced):
        desk.settled(6, after=1.0)
    desk.clock.advance(3.0)
    with pytest.raises(Fenced):
        desk.progress.remember(at(5))
