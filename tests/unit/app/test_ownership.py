"""Ownership: acquiring a checkpoint, keeping it, and giving it back."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from bridge.app.ownership import Ownership
from bridge.app.starting_point import Start
from bridge.checkpoint.none import NullCheckpointStore
from bridge.errors import BridgeError, CheckpointUnusable, Fenced, NotPermitted, Retryable
from bridge.model.policy import CheckpointPolicy
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.progress import Progress
from bridge.pipeline.pulse import Pulse
from tests.support.factories import at, checkpoint
from tests.support.fakes import FakeClock, FakeStore, InlineExecutor, SharedCheckpoint

RENEW_SECONDS = 3.0
SIDE = "MongoDB at mongo-1:27017 (mongo.uri)"


class OwnershipScenario:
    """A checkpoint and a bridge that wants it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.shelf = SharedCheckpoint(self.clock)
        self.store = FakeStore(self.shelf)
        self.ownership = Ownership(self.store, "db.jobs")

    def own(self, position: int = 0) -> Progress:
        """Acquire the checkpoint, and settle up to ``position`` without storing it."""
        assert self.ownership.acquire() == ""
        progress = Progress(
            self.store,
            checkpoint(0),
            CheckpointPolicy(),
            renew_seconds=RENEW_SECONDS,
            context=PipelineContext(Pulse(self.clock)),
            executor=InlineExecutor(),
        )
        progress.reached(at(position))
        self.ownership.start(Start(checkpoint(0)), progress)
        self.store.renewals = 0
        return progress

    def lose(self) -> None:
        """Let another bridge take the checkpoint over."""
        self.shelf.owner = FakeStore(self.shelf)


@pytest.fixture
def scenario() -> OwnershipScenario:
    return OwnershipScenario()


def test_another_owner_is_named(scenario: OwnershipScenario) -> None:
    assert FakeStore(scenario.shelf).acquire() == ""

    assert scenario.ownership.acquire() == "another bridge owns the checkpoint 'bridge'"


@pytest.mark.parametrize("running", [True, False])
def test_a_checkpoint_of_another_collection_is_refused(
    scenario: OwnershipScenario, running: bool
) -> None:
    """Also while another bridge owns it: a standby would wait for a position it cannot use."""
    owner = FakeStore(scenario.shelf)
    owner.acquire()
    owner.save(replace(checkpoint(3), namespace="db.pipeline-jobs"))
    if not running:
        owner.release()
    before = dict(scenario.shelf.record or {})

    with pytest.raises(CheckpointUnusable, match=r"'bridge' belongs to db\.pipeline-jobs") as error:
        scenario.ownership.acquire()

    assert "its own checkpoint.name" in str(error.value)
    assert "token" not in str(error.value), "the position is another bridge's"
    assert (scenario.shelf.record, scenario.shelf.epoch) == (before, 1)
    assert scenario.store.epoch == 0


def test_a_standby_leaves_damage_to_the_owner(scenario: OwnershipScenario) -> None:
    owner = FakeStore(scenario.shelf)
    owner.acquire()
    scenario.shelf.record = {"format": 1}

    assert scenario.ownership.acquire().startswith("another bridge")


def test_nothing_is_kept_before_it_is_owned(scenario: OwnershipScenario) -> None:
    scenario.ownership.keep()

    assert scenario.store.renewals == 0


def test_keep_renews_before_the_progress_is_known(scenario: OwnershipScenario) -> None:
    """Finding the starting point may take minutes; a standby must not take over meanwhile."""
    assert scenario.ownership.acquire() == ""

    scenario.ownership.keep()
    scenario.ownership.keep()

    assert scenario.store.renewals == 2


def test_keep_renews_when_due_with_progress(scenario: OwnershipScenario) -> None:
    scenario.own()

    scenario.ownership.keep()
    assert scenario.store.renewals == 0

    scenario.clock.advance(RENEW_SECONDS)
    scenario.ownership.keep()
    assert scenario.store.renewals == 1


@pytest.mark.parametrize("known", [False, True], ids=["before progress", "after progress"])
def test_keep_raises_a_lost_ownership(scenario: OwnershipScenario, known: bool) -> None:
    scenario.own() if known else scenario.ownership.acquire()
    scenario.clock.advance(RENEW_SECONDS)
    scenario.lose()

    with pytest.raises(Fenced):
        scenario.ownership.keep()


def test_acquiring_again_renews_at_once(scenario: OwnershipScenario) -> None:
    """A session after a long pause sends nothing before the ownership is proved."""
    scenario.own()

    assert scenario.ownership.acquire() == ""
    assert scenario.store.renewals == 1

    scenario.lose()
    with pytest.raises(Fenced):
        scenario.ownership.acquire()


def test_give_back_stores_and_releases(scenario: OwnershipScenario) -> None:
    scenario.own(position=7)

    assert scenario.ownership.give_back(SIDE) is None

    assert [save.position for save in scenario.shelf.saves] == [at(7)]
    assert scenario.shelf.owner is None


def test_give_back_without_progress_releases(scenario: OwnershipScenario) -> None:
    assert scenario.ownership.acquire() == ""

    assert scenario.ownership.give_back(SIDE) is None

    assert scenario.shelf.owner is None
    assert scenario.shelf.saves == []


def test_give_back_leaves_the_checkpoint_of_another(scenario: OwnershipScenario) -> None:
    owner = FakeStore(scenario.shelf)
    owner.acquire()

    assert scenario.ownership.give_back(SIDE) is None

    assert scenario.shelf.owner is owner


def test_give_back_returns_a_lost_ownership(
    scenario: OwnershipScenario, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a warning: the caller raises it, and the new owner has the position."""
    scenario.own(position=7)
    scenario.lose()

    assert isinstance(scenario.ownership.give_back(SIDE), Fenced)
    assert scenario.shelf.saves == []
    assert caplog.messages == []


@pytest.mark.parametrize(
    "error",
    [Retryable("the store is unreachable"), NotPermitted("the store refuses us")],
    ids=["unreachable", "refused"],
)
def test_give_back_returns_and_logs_an_unstored_position(
    scenario: OwnershipScenario, error: BridgeError, caplog: pytest.LogCaptureFixture
) -> None:
    scenario.own(position=7)
    scenario.store.failure = error

    assert scenario.ownership.give_back(SIDE) is error

    (line,) = caplog.messages
    assert line.startswith(f"stopped without storing the position: {error}; ")
    assert "the next start resumes from the last checkpoint" in line


def test_a_failed_release_is_no_error(
    scenario: OwnershipScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The position is stored; a standby waits for the end of the lease."""
    scenario.own(position=7)

    def refuse() -> None:
        raise Retryable("the store is unreachable")

    monkeypatch.setattr(scenario.store, "release", refuse)

    assert scenario.ownership.give_back(SIDE) is None
    assert [save.position for save in scenario.shelf.saves] == [at(7)]


def test_a_silent_store_is_named(
    scenario: OwnershipScenario, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scenario.own(position=7)
    asked, answer = threading.Event(), threading.Event()

    def renew() -> None:
        asked.set()
        answer.wait()

    monkeypatch.setattr(scenario.store, "renew", renew)
    waiting = threading.Thread(target=scenario.ownership.acquire)
    waiting.start()
    try:
        asked.wait()
        error = scenario.ownership.give_back(SIDE)
    finally:
        answer.set()
        waiting.join()

    assert isinstance(error, Retryable) and error.what == f"{SIDE} does not answer"
    assert f"stopped without storing the position: {SIDE} does not answer" in caplog.text


def test_a_mode_without_positions_needs_no_owner() -> None:
    ownership = Ownership(NullCheckpointStore("bridge"), "db.jobs")

    assert ownership.acquire() == ""
    ownership.keep()
    assert ownership.give_back(SIDE) is None
