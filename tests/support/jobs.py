"""Writes jobs as the CDM Task Service does, and as nobody should; reads what Kafka got of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from pymongo.collection import Collection

from tests.support.servers.kafka import Kafka
from tests.support.servers.records import Record

MIDNIGHT = datetime(2026, 3, 2, tzinfo=timezone.utc)
GOOD = ("created", "download_submitted", "complete")

Document = dict[str, Any]


def transition(state: object, minute: int = 0, **changed: object) -> Document:
    """One element of the history; ``changed`` replaces its fields, and removes those that are None."""
    whole = {
        "state": state,
        "time": MIDNIGHT + timedelta(minutes=minute, milliseconds=511),
        "_retry": 0,
        "trans_id": str(uuid.uuid4()),
        "notif_sent": False,
    }
    return {name: value for name, value in {**whole, **changed}.items() if value is not None}


class Jobs:
    """A jobs collection."""

    def __init__(self, collection: Collection[Document]) -> None:
        self.collection = collection

    def add(self, *, first: Document | None = None, **changed: object) -> str:
        """Insert a job and return its id; ``changed`` replaces its fields, and removes those that are None."""
        first = first or transition("created")
        whole = {
            "id": str(uuid.uuid4()),
            "state": first.get("state"),
            "transition_times": [first],
            "user": "myuser",
            "admin_meta": {},
            "job_input": {"cluster": "kbase", "input_files": []},
            "_update_time": MIDNIGHT,
        }
        job = {name: value for name, value in {**whole, **changed}.items() if value is not None}
        self.collection.insert_one(job)
        return str(job.get("id"))

    def past(
        self, *states: str, ago: float = 600.0, every: float = 1.0, **changed: object
    ) -> Document:
        """Insert a job that came to its states ``ago`` seconds ago and then one after ``every`` seconds; return it."""
        now = datetime.now(timezone.utc).replace(microsecond=511_000)
        times = [now - timedelta(seconds=ago - n * every) for n in range(len(states))]
        history = [transition(state, time=time) for state, time in zip(states, times, strict=True)]
        whole = {
            "id": str(uuid.uuid4()),
            "state": states[-1],
            "transition_times": history,
            "_update_time": times[-1],
        }
        job: Document = {**whole, **changed}
        self.collection.insert_one(job)
        return job

    def move(self, job_id: str, state: object, minute: int = 1, **changed: object) -> None:
        """Append a transition, as the service does."""
        element = transition(state, minute, **changed)
        self.update(job_id, {"$push": {"transition_times": element}, "$set": {"state": state}})

    def update(self, job_id: str, change: Document) -> None:
        assert self.collection.update_one({"id": job_id}, change).modified_count == 1

    def good(self) -> str:
        """A job that goes through all of :data:`GOOD`."""
        job_id = self.add()
        for minute, state in enumerate(GOOD[1:], 1):
            self.move(job_id, state, minute)
        return job_id


def values(records: Sequence[Record]) -> list[Document]:
    return [json.loads(record.value or b"") for record in records]


def told(kafka: Kafka, topic: str, job_id: str) -> list[str]:
    """The states Kafka got of a job, in order."""
    return [value["state"] for value in values(kafka.read(topic)) if value["job_id"] == job_id]


def set_aside(kafka: Kafka, topic: str) -> list[Document]:
    """The dead letters, in order."""
    return values(kafka.read(f"{topic}-dlq"))


def header(record: Record, name: str) -> bytes | None:
    return dict(record.headers).get(name)


__all__ = ["GOOD", "Document", "Jobs", "header", "set_aside", "told", "transition", "values"]
