"""Progress: when the position is stored, and how the ownership is kept meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from bridge.errors import Fenced, Retryable
from bridge.model.checkpoint import Checkpoint
from bridge.model.policy import CheckpointPolicy
from bridge.model.window import Window
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.progress import Progress
from bridge.pipeline.pulse import Pulse
from tests.support.factories import at, checkpoint, delivery
from tests.support.fakes import FakeClock, FakeStore, InlineExecutor, SharedCheckpoint


class ProgressScenario:
    """A checkpoint at position 5 and its owner; a save is due each second, an idle one each ten."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.executor = InlineExecutor()
        self.shelf = SharedCheckpoint(self.clock)
        self.store = FakeStore(self.shelf)
        self.store.acquire()
        self.start(self.executor)

    def start(self, executor: Executor) -> None:
        context = PipelineContext(Pulse(self.clock))
        self.counters = context.counters
        self.progress = Progress(
            self.store,
            checkpoint(5),
            CheckpointPolicy(interval=1.0, idle=10.0),
            renew_seconds=3.0,
            context=context,
            executor=executor,
        )
        self.progress.start_sending(at(5))

    def settle(self, number: int, after: float = 0.0) -> None:
        """Let the loop settle messages up to a position, ``after`` seconds later."""
        self.progress.note_settled()
        self.clock.advance(after)
        self.progress.remember(at(number))


@pytest.fixture
def scenario() -> ProgressScenario:
    return ProgressScenario()


def test_a_settled_position_is_stored_when_due(scenario: ProgressScenario) -> None:
    scenario.settle(6, after=0.9)
    assert scenario.shelf.saves == []

    scenario.settle(7, after=0.1)
    assert [save.position for save in scenario.shelf.saves] == [at(7)]
    assert scenario.counters.checkpoints == 1


def test_each_save_has_sequence_and_time(scenario: ProgressScenario) -> None:
    scenario.settle(6, after=1.0)
    scenario.settle(7, after=1.0)

    assert [save.sequence for save in scenario.shelf.saves] == [1, 2]
    assert [save.saved_at for save in scenario.shelf.saves] == [1_700_001_001.0, 1_700_001_002.0]
    assert scenario.progress.stored == scenario.shelf.saves[-1]


def test_an_idle_position_is_stored_seldom(scenario: ProgressScenario) -> None:
    scenario.clock.advance(9.9)
    scenario.progress.remember(at(6))
    assert scenario.shelf.saves == []

    scenario.clock.advance(0.1)
    scenario.progress.remember(at(7))
    assert [save.position for save in scenario.shelf.saves] == [at(7)]


def test_the_position_never_moves_back(scenario: ProgressScenario) -> None:
    scenario.settle(3, after=60.0)
    scenario.progress.reached(at(2))
    scenario.progress.save()

    assert scenario.progress.position == at(5)
    assert {save.position for save in scenario.shelf.saves} == {at(5)}


def test_an_unmoved_position_only_renews(scenario: ProgressScenario) -> None:
    for _ in range(60):
        scenario.clock.advance(0.5)
        scenario.progress.remember(at(5))

    assert scenario.shelf.saves == []
    assert scenario.store.renewals == 10


def test_a_save_renews_too(scenario: ProgressScenario) -> None:
    for number in range(6, 12):
        scenario.settle(number, after=1.0)

    assert scenario.store.renewals == len(scenario.shelf.saves) == 6


def test_a_failed_save_is_retried(scenario: ProgressScenario) -> None:
    scenario.store.failure = Retryable("the store is unreachable")
    with pytest.raises(Retryable):
        scenario.settle(6, after=1.0)
    assert scenario.progress.position == at(6)
    assert scenario.counters.checkpoints == 0

    scenario.settle(7)
    # The failed save may still arrive; the sequence shows that it is older.
    assert [(save.position, save.sequence) for save in scenario.shelf.saves] == [(at(7), 2)]


def test_a_lost_ownership_is_raised(scenario: ProgressScenario) -> None:
    scenario.shelf.owner = None

    with pytest.raises(Fenced):
        scenario.settle(6, after=1.0)
    scenario.clock.advance(3.0)
    with pytest.raises(Fenced):
        scenario.progress.remember(at(5))


def test_the_loop_does_not_wait_for_saves(scenario: ProgressScenario) -> None:
    scenario.executor.later = True
    scenario.settle(6, after=1.0)
    scenario.settle(7, after=1.0)
    assert scenario.shelf.saves == []
    assert scenario.progress.stored.position == at(5)

    scenario.executor.catch_up()
    scenario.progress.remember(at(7))
    assert scenario.progress.stored == scenario.shelf.saves[0]
    scenario.progress.remember(at(7))
    scenario.executor.catch_up()

    assert [save.position for save in scenario.shelf.saves] == [at(6), at(7)]


def test_the_next_turn_raises_a_saves_error(scenario: ProgressScenario) -> None:
    scenario.executor.later = True
    scenario.settle(6, after=1.0)
    scenario.shelf.owner = None
    scenario.executor.catch_up()

    with pytest.raises(Fenced):
        scenario.progress.remember(at(6))
    assert scenario.progress.stored.position == at(5)


def test_the_last_save_waits_for_the_running_one(scenario: ProgressScenario) -> None:
    with ThreadPoolExecutor(1) as executor:
        scenario.start(executor)
        entered = threading.Event()
        release = threading.Event()

        def slow(_: Checkpoint) -> None:
            entered.set()
            release.wait(10)

        scenario.store.before_save = slow
        scenario.settle(6, after=1.0)
        assert entered.wait(10)
        scenario.progress.reached(at(7))
        threading.Timer(0.01, release.set).start()

        scenario.progress.save()

    assert [save.position for save in scenario.shelf.saves] == [at(6), at(7)]


def test_a_late_store_stops_everything(scenario: ProgressScenario) -> None:
    """A process that was frozen may have lost the checkpoint: it waits for the store's answer."""
    scenario.settle(6, after=1.0)
    scenario.clock.advance(60.0)
    scenario.shelf.owner = None
    scenario.executor.later = True

    with pytest.raises(Fenced):
        scenario.settle(7)


def test_a_drain_leaves_position_and_unacknowledged_messages(scenario: ProgressScenario) -> None:
    """The next session starts there; a stop reports the messages."""
    window = Window(at(5), 10, 100)
    sent = [delivery(6), delivery(7), delivery(8)]
    for message in sent:
        window.admit(message)
    window.settle(sent[:1])

    scenario.progress.drained(window)

    assert scenario.progress.position == at(6)
    assert scenario.progress.unacknowledged == 2
    assert scenario.shelf.saves == []


def test_a_failed_save_stays_due(scenario: ProgressScenario) -> None:
    """Else a position behind a failed save would be stored as late as an idle one."""
    scenario.store.failure = Retryable("the store is unreachable")
    with pytest.raises(Retryable):
        scenario.settle(6, after=1.0)

    scenario.progress.remember(at(6))

    assert [save.position for save in scenario.shelf.saves] == [at(6)]
