"""The writes of the job service to one job: appends, forced recoveries and ``recover_job``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from bridge.model.transition import Poison, Transition
from tests.support.array_writes import ARCHIVE, CURRENT, array_of, recover_job, set_stage
from tests.support.job_writer import MIDNIGHT, Document

APPEND, FORCE, RECOVER = "append", "force", "recover"
KINDS = (APPEND, APPEND, APPEND, FORCE, RECOVER)
#: Milliseconds between two writes: also none, and more than an index could ever count.
PAUSES = (0, 0, 1, 2, 999, 86_400_000)

Items = Sequence[Transition | Poison]


@dataclass
class ServiceHistory:
    """A job as the service writes it; never an earlier time than before.

    Attributes:
        identified: entries have a ``trans_id``. Without it no two have the same time, because
            entries that are equal in everything cannot be distinguished.
    """

    job_id: str = "job"
    identified: bool = True
    archive: list[Document] = field(default_factory=list)
    current: list[Document] = field(default_factory=list)
    milliseconds: int = 0

    @property
    def document(self) -> Document:
        """The document as it is now, with lists of its own."""
        job = {"_id": self.job_id, "id": self.job_id, "state": self.state}
        archive = {ARCHIVE: [*self.archive]} if self.archive else {}
        return {**job, **archive, CURRENT: [*self.current]}

    @property
    def state(self) -> str:
        return str(self.current[-1]["state"])

    @property
    def count(self) -> int:
        return len(self.archive) + len(self.current)

    def write(self, kind: str, pause: int) -> list[Document]:
        """Make a write; returns the service's pipeline for it, for a job that exists."""
        self.milliseconds += pause if self.identified else max(1, pause)
        states = {FORCE: "recovering", RECOVER: "download_submitted"}
        element: Document = {
            "state": states.get(kind, f"state {self.count}"),
            "time": MIDNIGHT + timedelta(milliseconds=self.milliseconds),
        }
        if self.identified:
            element["trans_id"] = f"{self.job_id}/{self.count}"
        if kind == RECOVER:
            self.archive += self.current
            self.current = [element]
            return recover_job(element)
        self.current.append(element)
        longer = {"$concatArrays": [array_of(CURRENT), [element]]}
        return set_stage(CURRENT, longer, state=element["state"])

    def write_random(self, random: Random) -> list[Document]:
        return self.write(random.choice(KINDS), random.choice(PAUSES))


def sequences(items: Items) -> dict[str, set[Any]]:
    """The numbers of each transition, by its identity."""
    numbers: dict[str, set[Any]] = {}
    for item in items:
        assert isinstance(item, Transition), item
        numbers.setdefault(item.trans_id, set()).add(item.sequence)
    return numbers


def latest_state(items: Items) -> str:
    """The state of the job for a consumer that keeps the message with the highest number."""
    return max(items, key=lambda item: -1 if item.sequence is None else item.sequence).state
