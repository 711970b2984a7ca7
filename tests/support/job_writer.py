"""Writes jobs as the CDM Task Service does, and as no service should."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from pymongo.collection import Collection

from bridge.demo.job_service.pipeline_writes import update_of
from bridge.demo.job_service.workload import (
    HISTORY,
    Action,
    Commit,
    Step,
    change,
    guard,
    input_files,
    new_id,
    new_job,
    to_millis,
)
from bridge.model.transition import BEFORE_FIRST, next_sequence

MIDNIGHT = datetime(2026, 3, 2, tzinfo=timezone.utc)
#: The states of a job that goes well.
GOOD = ("created", "download_submitted", "complete")

Document = dict[str, Any]


def now() -> datetime:
    return to_millis(datetime.now(timezone.utc))


def transition(state: object, minute: int = 0, **changed: object) -> Document:
    """One element of the history; ``changed`` replaces fields, or removes those that are None."""
    whole = {
        "state": state,
        "time": MIDNIGHT + timedelta(minutes=minute, milliseconds=511),
        "_retry": 0,
        "trans_id": new_id(),
        "notif_sent": False,
    }
    return {name: value for name, value in {**whole, **changed}.items() if value is not None}


def sequence_at(minute: int) -> int:
    """The ``ce_sequence`` of a :func:`transition`, if those before it have earlier times."""
    time = MIDNIGHT + timedelta(minutes=minute, milliseconds=511)
    return next_sequence(BEFORE_FIRST, round(time.timestamp() * 1000))


class JobWriter:
    """Writes to one collection of jobs, and tags each job it writes to if it has a ``tag``.

    ``insert`` and ``advance`` write as the service does, at the time of the call; ``recover``
    writes as its newest version. ``add`` and ``move`` write small documents with times of one
    fixed day, and with any field changed.
    """

    def __init__(self, collection: Collection[Document], tag: str = "") -> None:
        self.collection = collection
        self._tag = {tag: True} if tag else {}

    def insert(self, cluster: str = "kbase", **changed: Any) -> str:
        """Insert a new job in its first state; returns its id."""
        document = new_job(cluster, now(), input_files(2000)) | self._tag | changed
        self.collection.insert_one(document)
        return str(document["id"])

    def advance(self, job_id: str, state: str, time: datetime | None = None, **fields: Any) -> str:
        """Write the next transition, guarded by the state before; returns its ``trans_id``."""
        before = self.collection.find_one({"id": job_id})
        assert before is not None
        trans_id, moment = new_id(), time or now()
        step = Step(state, {}, self._tag | fields)
        updated = self.collection.update_one(
            guard(job_id, before["state"], moment), change(step, moment, trans_id)
        )
        assert updated.modified_count == 1
        return trans_id

    def recover(self, job_id: str) -> list[str]:
        """Recover a failed job; returns the ``trans_id`` of both transitions."""
        return [
            self._update_conditionally(job_id, Step("recovering", action=Action.START_RECOVERY)),
            self._update_conditionally(job_id, Step("download_submitted", action=Action.RECOVER)),
        ]

    def _update_conditionally(self, job_id: str, step: Step) -> str:
        """Write the next transition by a pipeline update."""
        before = self.collection.find_one({"id": job_id})
        assert before is not None
        last = Commit(job_id, 0, before["state"], before["_update_time"], "")
        commit = Commit(job_id, 1, step.state, now(), new_id())
        update = update_of(replace(step, fields=self._tag), last, commit)
        assert self.collection.update_one(*update).modified_count == 1
        return commit.trans_id

    def add(self, *, first: Document | None = None, **changed: object) -> str:
        """Insert a small job; ``changed`` replaces fields, or removes those that are None."""
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

    def move(self, job_id: str, state: object, minute: int = 1, **changed: object) -> None:
        """Append a transition; ``changed`` is as for :func:`transition`."""
        element = transition(state, minute, **changed)
        self.update(job_id, {"$push": {"transition_times": element}, "$set": {"state": state}})

    def add_past(
        self, *states: object, ago: float = 600.0, every: float = 1.0, **changed: object
    ) -> Document:
        """Insert a job that reached its states ``ago`` seconds ago, ``every`` seconds apart."""
        start = datetime.now(timezone.utc).replace(microsecond=511_000)
        times = [start - timedelta(seconds=ago - n * every) for n in range(len(states))]
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

    def add_good(self) -> str:
        """Insert a job and move it through all of :data:`GOOD`."""
        job_id = self.add()
        for minute, state in enumerate(GOOD[1:], 1):
            self.move(job_id, state, minute)
        return job_id

    def update(self, job_id: str, change: Document) -> None:
        assert self.collection.update_one({"id": job_id}, change).modified_count == 1

    def ids_tagged(self, tag: str) -> list[str]:
        """The ids of the jobs that have ``tag``."""
        return [job["id"] for job in self.collection.find({tag: True})]

    def count_unsent(self) -> int:
        """How many jobs have a transition, archived or not, that is not noted as sent."""
        return self.collection.count_documents(
            {"$or": [{f"{array}.notif_sent": False} for array in HISTORY]}
        )
