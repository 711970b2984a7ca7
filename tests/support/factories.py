"""Builders of positions, transitions, events, shaped change events and settings."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from bridge.model.checkpoint import Checkpoint
from bridge.model.message import Message
from bridge.model.policy import Backoff
from bridge.model.position import ClusterTime, Position, position_after, position_before
from bridge.model.transition import Event, Poison, Transition
from bridge.model.window import Delivery
from bridge.settings import Settings, load

#: The cluster time of the first position, and the time of the first transition.
BASE = 1_700_000_000
NOON = datetime(2026, 3, 2, 12, 0, 0, 511_000, tzinfo=timezone.utc)
#: As the driver decodes it.
NAIVE_NOON = NOON.replace(tzinfo=None)
STATES = (
    "created",
    "download_submitted",
    "job_submitting",
    "job_submitted",
    "upload_submitting",
    "complete",
)

Raw = dict[str, Any]

#: A back-off that chance does not shorten.
FULL_BACKOFF = Backoff(chance=lambda: 0.0)


def token(number: int) -> str:
    """The token of the n-th event, in MongoDB's form: kind, cluster time, unique part."""
    return f"82{BASE + number:08X}{1:08X}2B042C0100296E5A1004{number:08X}"


def at(number: int) -> Position:
    """The position right after the n-th event."""
    return position_after(token(number))


def job(number: int) -> str:
    return f"job-{number}"


def transition(
    number: int = 0, job_id: str = "job-0", state: str = "", time: datetime | None = None
) -> Transition:
    """The n-th transition of a job."""
    moment = NOON + timedelta(milliseconds=number) if time is None else time
    return Transition(
        job_id,
        state or STATES[number % len(STATES)],
        moment.isoformat(),
        f"{job_id}/{number}",
        number,
    )


def event(number: int, *items: Transition | Poison, skipped: str = "") -> Event:
    """The n-th event; without items and a reason it contains one transition."""
    contents = items or (() if skipped else (transition(number),))
    return Event(at(number), contents, float(BASE + number), skipped)


def delivery(number: int | None, size: int = 1) -> Delivery:
    return Delivery(None if number is None else at(number), size)


def message(key: str = "job-0", value: bytes = b"{}", topic: str = "jobs") -> Message:
    return Message(topic, key.encode(), value, [])


def checkpoint(
    number: int = 0, name: str = "bridge", epoch: int = 1, sequence: int = 0
) -> Checkpoint:
    return Checkpoint(
        name,
        at(number),
        sequence,
        epoch,
        "fingerprint",
        "db.jobs",
        "rs0/6500000000000000",
        saved_at=123.5,
    )


def checkpoint_at(cluster_time: ClusterTime) -> Checkpoint:
    return Checkpoint(
        "bridge",
        position_before(cluster_time),
        0,
        1,
        "fingerprint",
        "db.jobs",
        "rs0/6500000000000000",
    )


def settings(**options: Any) -> Settings:
    """Settings as the command line gives them, with ``_`` twice where the name has a dot."""
    return load(None, {name.replace("__", "."): value for name, value in options.items()}, {})


def element(number: int, state: str = "", **others: Any) -> Raw:
    """The n-th element of a job's history, as the server shapes it."""
    fields = {
        "s": state or STATES[number % len(STATES)],
        "d": NAIVE_NOON + timedelta(milliseconds=number),
        "i": f"t-{number}",
    }
    return {name: value for name, value in (fields | others).items() if value is not ...}


def shaped(number: int, operation: str, key: Any = "key", **fields: Any) -> Raw:
    """The n-th event of the stream as the server shapes it."""
    return {
        "_id": {"_data": token(number)},
        "o": operation,
        "w": NAIVE_NOON + timedelta(seconds=number),
        "k": key,
        **fields,
    }


def inserted(number: int, *elements: Raw, key: Any = "key", job_id: Any = "job-0") -> Raw:
    return shaped(number, "insert", key, j=job_id, t=[], a=list(elements))


def pushed(number: int, index: int, fields: Raw | None = None, *, key: Any = "key") -> Raw:
    """The event of a new element at the end of the history."""
    changed = {"k": f"transition_times.{index}", **(element(index) if fields is None else fields)}
    return shaped(number, "update", key, t=[changed])
