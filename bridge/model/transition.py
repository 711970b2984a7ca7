"""Transitions of jobs, and the events and batches that carry them."""

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from bridge.model.position import Position

#: The UUID namespace for transitions without an identity. It never changes.
_NAMESPACE = uuid.UUID("5d7b0c52-2a55-5c0e-9f0b-6b1f3c1d7a10")
#: How often a job without history may return to a state at the same time, and be recognised.
_MAX_RETURNS = 10
#: The most digits of a sequence: the latest date has the year 9999.
SEQUENCE_DIGITS = 18
#: The predecessor of a job's first transition, for :func:`next_sequence`.
BEFORE_FIRST = -1

#: How a transition was found; consumers read it in ``ce_origin``.
STREAM, SWEEP, RECOVERY, REPLAY, NOTIFY, RETRY = (
    b"stream",
    b"sweep",
    b"recovery",
    b"replay",
    b"notify",
    b"retry",
)


class Transition(NamedTuple):
    """A state change of a job.

    Attributes:
        job_id, state: As the job's document contains them.
        time: ISO 8601 in UTC, as it is sent: ``2026-03-02T20:31:02.511000+00:00``. Millisecond
            precision; a fraction of zero is left out.
        trans_id: Its identity, the same on every replay.
        sequence: Orders the transitions of a job over all its attempts, see :func:`next_sequence`;
            None if jobs store no history.
    """

    job_id: str
    state: str
    time: str
    trans_id: str
    sequence: int | None = None


class Poison(NamedTuple):
    """A transition that cannot be sent: the reason, and the known fields as text."""

    reason: str
    job_id: str = ""
    state: str = ""
    time: str = ""
    trans_id: str = ""
    sequence: int | None = None


class Event(NamedTuple):
    """An event of a stream. It is settled when all its ``items`` are settled.

    Attributes:
        position: The position after the event.
        items: Its transitions, in the job's order.
        committed: The server's wall clock at the commit, in Unix seconds; None before MongoDB 6.0.
        skipped: The reason why there are no items; empty if there are any.
        origin: How it was found: a constant of this module, sent in ``ce_origin``.
    """

    position: Position
    items: Sequence[Transition | Poison]
    committed: float | None = None
    skipped: str = ""
    origin: bytes = STREAM


class Batch(NamedTuple):
    """The events of a read, in stream order, and the position after all of them."""

    events: Sequence[Event]
    position: Position


def next_sequence(previous: int, milliseconds: int) -> int:
    """Return the sequence of the transition that follows ``previous`` in a job's history.

    It is the time, multiplied so that a thousand transitions fit into a millisecond. A transition
    whose time is not later than its predecessor's has the next number instead. So the sequence
    grows along the history whatever the clocks show, and any reading of the history computes it.

    Args:
        previous: the sequence of the preceding transition, or :data:`BEFORE_FIRST`.
        milliseconds: the transition's own time, since 1970; 0 if it has no time.
    """
    return max(previous + 1, milliseconds * 1000)


def made_trans_id(job_id: str, time: str, state: str, number: int | None = None) -> str:
    """Make the identity of a transition that has none.

    Args:
        time: as it is sent.
        number: its sequence, which distinguishes it from others of the same time. If jobs store no
            history: how often the job was in this state at this time before, None for never.
    """
    moment = time if number is None else f"{time} {number}"
    return str(uuid.uuid5(_NAMESPACE, f"{job_id}\n{moment}\n{state}"))


def has_made_trans_id(item: Transition | Poison) -> bool:
    """Whether the bridge made the identity of an item, because the document has none."""
    return item.trans_id == made_trans_id(item.job_id, item.time, item.state, item.sequence)


def is_made_of(trans_id: str, job_id: str, time: str, state: str) -> bool:
    """Whether an identity was made of these fields, for jobs that store no history."""
    return any(
        trans_id == made_trans_id(job_id, time, state, number)
        for number in (None, *range(1, _MAX_RETURNS))
    )
