"""Progress: when the position is stored, and how the ownership is kept meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.errors import Fenced, Retryable
from bridge.model.checkpoint import Checkpoint
from bridge.model.policy import CheckpointPolicy
from bridge.observability.metrics import Counters
from bridge.pipeline.progress import Progress
from tests.support.factories import at, checkpoint
from tests.support.fakes import FakeClock, FakeStore, InlineExecutor, SharedCheckpoint


class Desk:
    def __init__(self) -> None:
        self.clock, self.counters, self.executor = FakeClock(), Counters(), InlineExecutor()
        self.shelf = SharedCheckpoint(self.clock)
        self.store = FakeStore(self.shelf)
        self.store.acquire()
        self.make()

    def make(self) -> None:
        self.progress = Progress(
            self.store,
            checkpoint(5),
            CheckpointPolicy(interval=1.0, idle=10.0),
            3.0,
            self.clock,
            self.counters,
            self.executor,
        )

    def settled(self, number: int, after: float = 0.0) -> None:
        self.counters.settled += 1
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


def test_the_loop_does_not_wait_for_a_save_and_begins_no_other_meanwhile(desk: Desk) -> None:
    desk.executor.later = True
    desk.settled(6, after=1.0)
    desk.settled(7, after=1.0)
    assert desk.shelf.saves == []
    assert desk.progress.stored.position == at(5)

    desk.executor.catch_up()
    desk.progress.remember(at(7))
    assert desk.progress.stored == desk.shelf.saves[0]
    desk.progress.remember(at(7))
    desk.executor.catch_up()

    assert [one.position for one in desk.shelf.saves] == [at(6), at(7)]


def test_what_a_save_raised_is_raised_by_the_next_turn(desk: Desk) -> None:
    desk.executor.later = True
    desk.settled(6, after=1.0)
    desk.shelf.owner = None
    desk.executor.catch_up()

    with pytest.raises(Fenced):
        desk.progress.remember(at(6))
    assert desk.progress.stored.position == at(5)


def test_a_save_at_the_end_waits_for_the_one_under_way(desk: Desk) -> None:
    with ThreadPoolExecutor(1) as executor:
        desk.executor = executor  # type: ignore[assignment]
        desk.make()
        entered, go_on = threading.Event(), threading.Event()

        def slow(_: Checkpoint) -> None:
            entered.set()
            go_on.wait(10)

        desk.store.before_save = slow
        desk.settled(6, after=1.0)
        assert entered.wait(10)
        desk.progress.reached(at(7))
        threading.Timer(0.01, go_on.set).start()

        desk.progress.save()

    assert [one.position for one in desk.shelf.saves] == [at(6), at(7)]


def test_after_a_long_silence_of_the_store_nothing_goes_on_before_it_has_answered(
    desk: Desk,
) -> None:
    desk.settled(6, after=1.0)
    desk.clock.advance(60.0)
    desk.shelf.owner = None
    desk.executor.later = True

    with pytest.raises(Fenced):
        desk.settled(7)
