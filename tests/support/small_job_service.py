"""A small job service whose every write a test decides, and what became of its jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection

from tests.support.fault_scenario import Bench
from tests.support.servers.records import Record

Jobs = Collection[dict[str, Any]]


class Service:
    """Tags a job with the write that changes its state, where it is given a ``tag``."""

    def __init__(self, bench: Bench, tag: str = "") -> None:
        self._bench, self._tag = bench, tag

    def begin(self) -> str:
        """A new job, by its id."""
        job_id, first = f"job-{time.monotonic_ns()}", _element("created")
        with self._jobs() as jobs:
            jobs.insert_one(
                {
                    "id": job_id,
                    "state": "created",
                    "transition_times": [first],
                    "_update_time": first["time"],
                    **self._set,
                }
            )
        return job_id

    def move(self, job_id: str, state: str) -> None:
        element = _element(state)
        change = {
            "$push": {"transition_times": element},
            "$set": {"state": state, "_update_time": element["time"], **self._set},
        }
        with self._jobs() as jobs:
            assert jobs.update_one({"id": job_id}, change).modified_count == 1

    def tagged(self, tag: str = "") -> list[str]:
        with self._jobs() as jobs:
            return [job["id"] for job in jobs.find({tag or self._tag: True})]

    @property
    def _set(self) -> dict[str, bool]:
        return {self._tag: True} if self._tag else {}

    @contextmanager
    def _jobs(self) -> Iterator[Jobs]:
        with MongoClient[dict[str, Any]](self._bench.mongo.uri, w="majority") as client:
            yield client[self._bench.database]["jobs"]


def _element(state: str) -> dict[str, Any]:
    return {
        "state": state,
        "time": datetime.now(timezone.utc),
        "trans_id": f"t-{time.monotonic_ns()}",
        "notif_sent": False,
    }


def unsent(bench: Bench) -> int:
    """How many jobs have a transition that is not noted as sent."""
    with MongoClient[dict[str, Any]](bench.mongo.uri) as client:
        return client[bench.database]["jobs"].count_documents(
            {"transition_times.notif_sent": False}
        )


def state_of(record: Record) -> tuple[str, str]:
    """The job and the state a message tells."""
    value = json.loads(record.value or b"")
    return value["job_id"], value["state"]


def states(bench: Bench, job_id: str) -> list[str]:
    """What Kafka was told of a job, in order."""
    told = (state_of(record) for record in bench.kafka.read(bench.topic))
    return [state for job, state in told if job == job_id]
