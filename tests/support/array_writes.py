"""Writes to a job that can be repeated on another job, and the elements of its history."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from tests.support.job_writer import MIDNIGHT

Document = dict[str, Any]

CURRENT, ARCHIVE = "transition_times", "trans_history"
STATES = ("created", "running", "submitting", "error", "complete", "recovering")
SHOWN = dict.fromkeys(("id", "state", CURRENT, ARCHIVE), 1)


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
        return f"{self.operator}: " + " ".join(str(part) for part in parts if part)


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
