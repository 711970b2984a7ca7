"""Compares the jobs of a collection with the messages of a topic, without any history of the run.

Messages count by key, value and ``ce_id``: other producers may have written anything beside them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient

from tests.support.messages import header
from tests.support.servers.records import TopicRecord
from tests.support.service_run import elements

#: How many faults of each kind an error names.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class ExpectedMessage:
    """The message of one transition, as the bridge must send it."""

    trans_id: str
    key: bytes
    value: bytes

    @property
    def identity(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        return self.key, self.value, self.trans_id.encode()


@dataclass(frozen=True, slots=True)
class Contents:
    """The findings about a topic; ``copies`` counts the messages of each transition."""

    copies: Mapping[str, int]
    lost: Sequence[str]
    reordered: Sequence[str]

    @property
    def repeated(self) -> int:
        """Messages beyond the first of each transition."""
        return sum(max(0, count - 1) for count in self.copies.values())

    def check(self, *, repeated_at_most: int | None = 0, at_least: int = 1) -> None:
        """Fail if transitions are lost, out of order, or too often there; None: any number."""
        committed = len(self.copies)
        print(f"{committed} committed, {self.repeated} repeated")
        problems = [
            f"{len(found)} {name}: {'; '.join(found[:EXAMPLES])}"
            for name, found in (("lost", self.lost), ("out of order", self.reordered))
            if found
        ]
        if repeated_at_most is not None and self.repeated > repeated_at_most:
            problems.append(f"{self.repeated} repeated, where {repeated_at_most} are allowed")
        if committed < at_least:
            problems.append(f"only {committed} transitions were committed, {at_least} are needed")
        assert not problems, f"of {committed} transitions: " + "\n".join(problems)


def messages_of(job: dict[str, Any]) -> list[ExpectedMessage]:
    """The messages of a job that was read with time zones, in order."""
    job_id = str(job["id"])
    return [
        ExpectedMessage(
            element["trans_id"],
            job_id.encode(),
            json.dumps(
                {
                    "job_id": job_id,
                    "state": element["state"],
                    "time": element["time"].isoformat(),
                    "trans_id": element["trans_id"],
                }
            ).encode(),
        )
        for element in elements(job)
    ]


def stored_messages(uri: str, database: str) -> dict[str, list[ExpectedMessage]]:
    """The messages of every job of the collection, by its id."""
    with MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        return {str(job["id"]): messages_of(job) for job in client[database]["jobs"].find()}


def compare(
    jobs: Mapping[str, Sequence[ExpectedMessage]], records: Iterable[TopicRecord]
) -> Contents:
    known = {message.identity: message for job in jobs.values() for message in job}
    copies: Counter[str] = Counter()
    arrivals: dict[bytes, list[str]] = {}
    for record in records:
        identity = (record.key, record.value, header(record, "ce_id"))
        message = known.get(identity)
        if message is None:
            continue
        copies[message.trans_id] += 1
        if copies[message.trans_id] == 1:
            arrivals.setdefault(message.key, []).append(message.trans_id)
    return Contents(
        {message.trans_id: copies[message.trans_id] for message in known.values()},
        [
            f"{job_id} {message.trans_id}"
            for job_id, messages in jobs.items()
            for message in messages
            if not copies[message.trans_id]
        ],
        [
            job_id
            for job_id, messages in jobs.items()
            if _is_reordered(messages, arrivals.get(job_id.encode(), []))
        ],
    )


def _is_reordered(messages: Sequence[ExpectedMessage], arrived: Sequence[str]) -> bool:
    present = set(arrived)
    return [m.trans_id for m in messages if m.trans_id in present] != list(arrived)
