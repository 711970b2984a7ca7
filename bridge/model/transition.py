"""What the stream tells: events, and the transitions of jobs inside them."""

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from bridge.model.position import Position

#: Namespace of the identities made for transitions that carry none; it never changes.
_NAMESPACE = uuid.UUID("5d7b0c52-2a55-5c0e-9f0b-6b1f3c1d7a10")


#: Where a message comes from, told in ``ce_origin``.
STREAM, SWEEP, RECOVERY, REPLAY, NOTIFY, RETRY = (
    b"stream",
    b"sweep",
    b"recovery",
    b"replay",
    b"notify",
    b"retry",
)


class Transition(NamedTuple):
    """One state change of one job.

    ``time`` is ISO 8601 in UTC, as it is sent: ``2026-03-02T20:31:02.511000+00:00``, of millisecond
    precision, without a fraction where that is zero. ``sequence`` is its index in the job's
    history, None where the collection keeps none. ``trans_id`` is its identity: the same on every replay.
    """

    job_id: str
    state: str
    time: str
    trans_id: str
    sequence: int | None = None


class Poison(NamedTuple):
    """A transition that cannot be sent, and why; what is known of it, as text."""

    reason: str
    job_id: str = ""
    state: str = ""
    time: str = ""
    trans_id: str = ""
    sequence: int | None = None


class Event(NamedTuple):
    """One event of the stream; it is done when all its ``items`` are settled.

    ``committed`` is the server's wall clock at the commit (Unix seconds; None before MongoDB 6).
    ``skipped`` says why there are no items, ``""`` when there are. ``origin`` says how it was found,
    as consumers are told in ``ce_origin``: one of the constants above.
    """

    position: Position
    items: Sequence[Transition | Poison]
    committed: float | None = None
    skipped: str = ""
    origin: bytes = STREAM


class Batch(NamedTuple):
    """What one read gave, in stream order, and the position after all of it."""

    events: Sequence[Event]
    position: Position


def made_trans_id(job_id: str, place: object, state: str) -> str:
    """Make the identity of a transition that has none, from its ``place`` in the job's history: its sequence, or its time where none is kept."""
    return str(uuid.uuid5(_NAMESPACE, f"{job_id}\n{place}\n{state}"))
