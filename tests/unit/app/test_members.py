"""The members of a checkpoint, as status and metrics show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.app.checks import KafkaCheck
from bridge.app.members import ANSWER_SECONDS, Members
from bridge.errors import BridgeError, Retryable
from bridge.model.membership import Member, Membership
from bridge.model.owner_process import process_text, this_process
from bridge.observability.snapshot import OwnershipState
from bridge.pipeline.ports import CheckpointStore
from tests.support.factories import settings
from tests.support.fakes import FakeClock, FakeStore, SharedCheckpoint
from tests.support.probed_bridge import ProbedBridge

US = process_text(this_process())
OTHER = Member("the bridge with process 12 on host-a", 60.0)
THIRD = Member("the bridge with process 13 on host-b", 70.0)


@dataclass
class AskedStore(FakeStore):
    """A store whose members have to be asked for."""

    answer: Membership = field(default_factory=Membership)
    refusal: BridgeError | None = None
    asked: int = 0

    def __post_init__(self) -> None:
        super().__init__(SharedCheckpoint(FakeClock()))

    def ownership(self) -> Membership:
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        return self.answer


def members(store: CheckpointStore, clock: FakeClock, kind: str = "kafka", **more: Any) -> Members:
    return Members(settings(checkpoint__store=kind, **more), store, clock)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> AskedStore:
    return AskedStore()


def test_pages_never_ask(store: AskedStore, clock: FakeClock) -> None:
    shown = members(store, clock)

    assert shown.state() == OwnershipState(None, None, None, is_us=False)
    assert store.asked == 0


def test_the_probe_of_kafka_asks(store: AskedStore, clock: FakeClock) -> None:
    store.answer = Membership(OTHER, (THIRD,))
    shown = members(store, clock)
    check = KafkaCheck(ProbedBridge(), shown)  # type: ignore[arg-type]

    check.ask()

    assert store.asked == 1
    assert shown.state() == OwnershipState(OTHER.name, 60.0, (THIRD.name,), is_us=False)


def test_a_refusal_leaves_kafka_up(store: AskedStore, clock: FakeClock) -> None:
    store.answer = Membership(OTHER, (THIRD,))
    shown = members(store, clock)
    check = KafkaCheck(ProbedBridge(), shown)  # type: ignore[arg-type]
    check.ask()
    store.refusal = Retryable("the coordinator is silent", part="kafka")

    check.ask()

    known = shown.state()
    assert known is not None and known.owner == OTHER.name
    clock.advance(ANSWER_SECONDS + 1)
    assert shown.state() == OwnershipState(None, None, None, is_us=False)


def test_a_take_over_shows_at_once(store: AskedStore, clock: FakeClock) -> None:
    """The last answer names the former owner; the next question is seconds away."""
    store.answer = Membership(OTHER, (Member(US),))
    shown = members(store, clock)
    shown.ask()
    store.acquire()

    assert shown.state() == OwnershipState(US, None, None, is_us=True)
    store.answer = Membership(Member(US, 90.0), (THIRD,), is_us=True)
    shown.ask()
    assert shown.state() == OwnershipState(US, 90.0, (THIRD.name,), is_us=True)


@pytest.mark.parametrize(("kind", "standbys"), [("mongo", None), ("file", ())])
def test_other_stores_know_the_owner(
    clock: FakeClock, kind: str, standbys: tuple[str, ...] | None
) -> None:
    shelf = SharedCheckpoint(clock)
    store, other = FakeStore(shelf), FakeStore(shelf)
    other.acquire()

    assert members(store, clock, kind).state() == OwnershipState(
        "another bridge", None, standbys, is_us=False
    )
    assert members(other, clock, kind).state() == OwnershipState(
        "this bridge", None, standbys, is_us=True
    )


def test_a_mode_without_position_has_no_owner(store: AskedStore, clock: FakeClock) -> None:
    mode = {"delivery__mode": "background-jobs", "sweep__job_tag": "unsent"}
    shown = members(store, clock, "mongo", **mode)

    shown.ask()

    assert shown.state() is None
    assert store.asked == 0
