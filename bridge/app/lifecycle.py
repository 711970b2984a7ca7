"""The states of a bridge, and the moves between them."""

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """The states of a bridge; metrics and status show the same names."""

    STARTING = "starting"
    STANDBY = "standby"
    RUNNING = "running"
    RECOVERING = "recovering"
    WAITING = "waiting"
    DRAINING = "draining"
    PAUSED = "paused"
    STOPPED = "stopped"


#: The states that may follow each; a state may follow itself, with another reason.
MOVES: dict[State, frozenset[State]] = {
    State.STARTING: frozenset(
        {
            State.STANDBY,
            State.RUNNING,
            State.RECOVERING,
            State.WAITING,
            State.PAUSED,
            State.STOPPED,
        }
    ),
    State.STANDBY: frozenset({State.STARTING, State.WAITING, State.STOPPED}),
    State.RUNNING: frozenset({State.WAITING, State.DRAINING, State.STOPPED}),
    State.RECOVERING: frozenset({State.RUNNING, State.WAITING, State.DRAINING, State.STOPPED}),
    State.WAITING: frozenset(
        {State.STANDBY, State.RUNNING, State.RECOVERING, State.PAUSED, State.STOPPED}
    ),
    State.DRAINING: frozenset({State.PAUSED, State.STOPPED}),
    State.PAUSED: frozenset({State.STARTING, State.STOPPED}),
    State.STOPPED: frozenset(),
}
#: The states in which a loop runs.
LOOPING = frozenset({State.RUNNING, State.RECOVERING})


class _Now(NamedTuple):
    state: State
    reason: str


class Lifecycle:
    """The state of a bridge and the reason for it; nothing else writes them.

    Written by the main thread, read by any.
    """

    def __init__(self) -> None:
        # A single value, so that a reader on another thread never sees the reason of another state.
        self._now = _Now(State.STARTING, "starting")

    @property
    def state(self) -> State:
        return self._now.state

    @property
    def reason(self) -> str:
        """Why the bridge is not ready; empty in a state that may be ready."""
        return self._now.reason

    @property
    def looping(self) -> bool:
        """Whether a loop runs."""
        return self._now.state in LOOPING

    def enter(self, state: State, reason: str = "") -> bool:
        """Move to ``state``.

        Returns:
            True when the state changed, False when only the reason did.

        Raises:
            AssertionError: The move is not in ``MOVES``: a bug.
        """
        before = self._now.state
        if state != before and state not in MOVES[before]:
            raise AssertionError(f"a bridge {before} cannot be {state}")
        self._now = _Now(state, reason)
        return state != before
