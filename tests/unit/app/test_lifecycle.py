"""The states of a bridge and the moves between them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from prometheus_client.exposition import generate_latest

from bridge.app.lifecycle import LOOPING, MOVES, Lifecycle, State
from bridge.observability.certificates import Certificates
from bridge.observability.metrics import registry
from tests.support.factories import settings
from tests.support.fakes import FakeClock
from tests.support.observed_bridge import ObservedBridge, status_of

#: The moves as the operators' documents show them; a change of ``MOVES`` is to be a decision.
ALLOWED = {
    "starting": {"standby", "running", "recovering", "waiting", "paused", "stopped"},
    "standby": {"starting", "waiting", "stopped"},
    "running": {"waiting", "draining", "stopped"},
    "recovering": {"running", "waiting", "draining", "stopped"},
    "waiting": {"standby", "running", "recovering", "paused", "stopped"},
    "draining": {"paused", "stopped"},
    "paused": {"starting", "stopped"},
    "stopped": set(),
}
PAIRS = [(before, after) for before in State for after in State if before != after]


def walks() -> dict[State, list[State]]:
    """Return a shortest walk from the first state to each state that can be reached."""
    paths = {State.STARTING: [State.STARTING]}
    queue = [State.STARTING]
    for state in queue:
        for after in sorted(MOVES[state]):
            if after not in paths:
                paths[after] = [*paths[state], after]
                queue.append(after)
    return paths


def lifecycle_in(state: State) -> Lifecycle:
    """Return a lifecycle that came to ``state`` by allowed moves."""
    lifecycle = Lifecycle()
    for after in walks()[state][1:]:
        lifecycle.enter(after)
    return lifecycle


def test_a_new_bridge_starts() -> None:
    lifecycle = Lifecycle()

    assert (lifecycle.state, lifecycle.reason) == (State.STARTING, "starting")
    assert not lifecycle.looping


def test_the_moves_are_those_documented() -> None:
    assert {str(before): set(map(str, after)) for before, after in MOVES.items()} == ALLOWED


def test_every_state_is_reached() -> None:
    assert set(walks()) == set(State)


@pytest.mark.parametrize(
    ("before", "after"), [pair for pair in PAIRS if pair[1] in ALLOWED[pair[0]]]
)
def test_an_allowed_move_changes_state_and_reason(before: State, after: State) -> None:
    lifecycle = lifecycle_in(before)

    assert lifecycle.enter(after, "because")

    assert (lifecycle.state, lifecycle.reason) == (after, "because")
    assert lifecycle.looping == (after in (State.RUNNING, State.RECOVERING))


@pytest.mark.parametrize(
    ("before", "after"), [pair for pair in PAIRS if pair[1] not in ALLOWED[pair[0]]]
)
def test_a_forbidden_move_changes_nothing(before: State, after: State) -> None:
    lifecycle = lifecycle_in(before)
    lifecycle.enter(before, "as before")

    with pytest.raises(AssertionError, match=f"a bridge {before} cannot be {after}"):
        lifecycle.enter(after, "because")

    assert (lifecycle.state, lifecycle.reason) == (before, "as before")


@pytest.mark.parametrize("state", State)
def test_a_state_may_change_its_reason(state: State) -> None:
    """``enter`` returns whether the state changed, so that a log line comes once."""
    lifecycle = lifecycle_in(state)
    lifecycle.enter(state, "first")

    assert not lifecycle.enter(state, "second")

    assert (lifecycle.state, lifecycle.reason) == (state, "second")


def test_no_state_is_left_out_of_the_moves() -> None:
    assert set(MOVES) == set(State)
    assert set(State) > LOOPING
    assert all(set(after) <= set(State) for after in MOVES.values())
    assert all(before not in after for before, after in MOVES.items())


def test_a_ready_state_without_reason_is_ready() -> None:
    """The reason of the state before does not survive a move without a reason."""
    lifecycle = lifecycle_in(State.WAITING)
    lifecycle.enter(State.WAITING, "MongoDB is unreachable")

    lifecycle.enter(State.RUNNING)

    assert lifecycle.reason == ""


@pytest.mark.parametrize("state", State)
def test_the_state_gauge_lists_every_state(state: State) -> None:
    bridge = ObservedBridge(state, looping=state in LOOPING)
    own = registry(status_of(bridge, FakeClock()), [*State], Certificates(settings()))
    text = generate_latest(own).decode()

    for name in State:
        assert f'job_bridge_state{{state="{name}"}} {float(name == state)}' in text


def test_a_walk_is_made_of_allowed_moves() -> None:
    for walk in walks().values():
        assert all(after in ALLOWED[before] for before, after in pairwise(walk))
