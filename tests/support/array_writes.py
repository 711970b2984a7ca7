"""Writes to a job that can be repeated on another job, and the elements of its history."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from tests.support.job_writer import MIDNIGHT

Document = dict[str, Any]

CURRENT, ARCHIVE = "transition_times", "trans_history"
STATES = ("created", "running", "submitting", "error", "complete", "recovering")
#: Fields of most elements, which reports leave out.
USUAL: tuple[tuple[str, Any], ...] = (("_retry", 0), ("notif_sent", False), ("admin_meta", {}))
SHOWN = dict.fromkeys(("id", "state", CURRENT, ARCHIVE), 1)


def readable(value: Any) -> str:
    """The text of a value for a report, with short dates and without the usual flags."""
    if isinstance(value, dict):
        shown = {k: v for k, v in value.items() if (k, v) not in USUAL}
        return "{" + ", ".join(f"{k}: {readable(v)}" for k, v in shown.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(readable, value)) + "]"
    return f"{value:%H:%M:%S.%f}"[:-3] if isinstance(value, datetime) else repr(value)


@dataclass(frozen=True)
class Write:
    """A write to a single job, which can be repeated on another job.

    Attributes:
        operator: Its name in reports.
        update: An update document or a pipeline.
        query: Conditions beside the ``_id``.
        filters: The ``arrayFilters``.
        whole: The document of an insert, a replace or an upsert, without ``_id``.
        merge: The stages before ``$merge``, and its ``whenMatched``.
    """

    operator: str
    update: Any = None
    query: Document = field(default_factory=dict)
    filters: list[Document] | None = None
    whole: Document | None = None
    merge: tuple[list[Document], Any] | None = None

    def apply(
        self, jobs: Collection[Document], key: Any, session: ClientSession | None
    ) -> Document | None:
        """Run the write; returns the job as it is right after it, or None."""
        query = {"_id": key, **self.query}
        after = ReturnDocument.AFTER
        if self.operator == "delete":
            jobs.delete_one(query, session=session)
        elif self.operator == "insert":
            jobs.insert_one({"_id": key, **(self.whole or {})}, session=session)
        elif self.whole is not None:
            jobs.replace_one(query, self.whole, self.operator == "upsert", session=session)
        elif self.merge is not None:
            stages, when_matched = self.merge
            into = {"into": jobs.name, "on": "_id", "whenMatched": when_matched}
            jobs.aggregate([{"$match": query}, *stages, {"$merge": into}])
        else:
            document: Document | None = jobs.find_one_and_update(
                query,
                self.update,
                SHOWN,
                array_filters=self.filters,
                return_document=after,
                session=session,
            )
            if document is not None:
                return document
        return jobs.find_one({"_id": key}, SHOWN, session=session)

    def __str__(self) -> str:
        parts = (self.query, self.update, self.filters, self.whole, self.merge)
        return f"{self.operator}: " + " ".join(readable(part) for part in parts if part)


class Pen:
    """Makes the elements of a job's history; each has a time of its own or an identity."""

    def __init__(self, random: Random, job_id: str) -> None:
        self.random = random
        self.job_id = job_id
        self._time = MIDNIGHT
        self._count = 0

    def element(self, *, identified: bool = False) -> Document:
        """A new element; rarely without identity, or with a value that cannot be sent."""
        self._count += 1
        without_id = not identified and self.random.random() < 0.15
        again = not without_id and self.random.random() < 0.15
        self._time += timedelta(milliseconds=0 if again else self.random.randint(1, 4000))
        element: Document = {
            "state": self.random.choice(STATES),
            "time": self._time,
            "_retry": 0,
            "trans_id": f"{self.job_id}/{self._count}",
            "notif_sent": False,
        }
        if without_id:
            element.pop("trans_id")
        if not identified and self.random.random() < 0.04:
            name, value = self.random.choice((("state", 7), ("state", None), ("time", "noon")))
            element[name] = value
        return element

    def elements(self, most: int = 3) -> list[Document]:
        return [self.element() for _ in range(self.random.randint(1, most))]

    def value(self, name: str) -> Any:
        """A new value of the field ``name`` of an element."""
        return self.element(identified=True)[name]

    def document(self, current: list[Any] | None = None) -> Document:
        elements = self.elements() if current is None else current
        return {"id": self.job_id, "state": "created", CURRENT: elements, "admin_meta": {}}

    def insert(self) -> Write:
        """The first write of a job."""
        whole = self.document(self.elements() if self.random.random() < 0.9 else [])
        if self.random.random() < 0.1:
            whole[ARCHIVE] = self.elements()
        return Write(self.random.choice(("insert", "insert", "upsert")), whole=whole)


@dataclass(frozen=True)
class Target:
    """The array that a write changes, as it is before the write."""

    pen: Pen
    job: Document
    name: str
    array: list[Any]

    @property
    def random(self) -> Random:
        return self.pen.random

    @property
    def expression(self) -> Document:
        """The array in a pipeline."""
        return array_of(self.name)

    def index(self) -> int:
        return self.random.randrange(len(self.array))

    def known_id(self) -> Any:
        """The identity of an element, or None."""
        ids = [e["trans_id"] for e in self.array if isinstance(e, dict) and "trans_id" in e]
        return self.random.choice(ids) if ids else None

    def fields(self) -> Document:
        """New values for some fields of an element."""
        chosen = self.random.choice(
            (
                *(["state"], ["time"], ["trans_id"], ["notif_sent"], ["state", "time"]),
                *(["state", "trans_id"], ["state", "time", "trans_id"], ["notif_sent", "state"]),
            )
        )
        return {name: self.pen.value(name) for name in chosen}


def array_of(name: str) -> Document:
    """The array ``name`` in a pipeline; empty if it is missing."""
    return {"$cond": [{"$isArray": f"${name}"}, f"${name}", []]}


def set_stage(name: str, expression: Any, **others: Any) -> list[Document]:
    return [{"$set": {name: expression, **others}}]


def recover_job(element: Document) -> list[Document]:
    """The service's update that moves the history into the archive and starts a new one."""
    return [
        *set_stage(
            ARCHIVE,
            {"$concatArrays": [array_of(ARCHIVE), array_of(CURRENT)]},
            **{CURRENT: [element], "state": element["state"], "cleaned": False},
        ),
        {"$unset": ["error", "admin_error", "traceback"]},
    ]
