"""Transitions, messages and dead letters that a verification compares."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from bridge.errors import Misconfigured
from bridge.model.job_history import JobHistory
from bridge.model.message import MessageFormat, Record, value_of
from bridge.model.transition import REPLAY, Poison, Transition
from bridge.verification.comparison import Findings, Verification, repairs
from bridge.verification.database import TransitionDatabase
from bridge.verification.rows import Span
from tests.support.factories import BASE, job

SPAN = Span(BASE, BASE + 1000)
MARGIN = 60.0


class FakeTopics:
    """The records of the topics, and the start times of the reads."""

    def __init__(self, **topics: list[Record]) -> None:
        self._topics = topics
        self.asked: list[float | None] = []

    def count(self, topic: str, since: float | None) -> int:
        return len(self._topics[topic])

    def read(self, topic: str, since: float | None) -> Iterator[Sequence[Record]]:
        self.asked.append(since)
        if topic not in self._topics:
            raise Misconfigured(f"no topic {topic}")
        yield self._topics[topic]

    def kept_since(self, topic: str, retention_start: float | None = None) -> float | None:
        return None


class FakeJobs:
    """The jobs of a collection.

    Args:
        recent: Those that were updated since the span started.
        others: Those that only a look-up returns.
    """

    def __init__(self, recent: Sequence[JobHistory], others: Sequence[JobHistory] = ()) -> None:
        self._recent = recent
        self._others = others
        self.looked_up: list[str] = []

    def jobs(self, since: float) -> Sequence[JobHistory]:
        assert since == SPAN.since
        return self._recent

    def by_ids(self, job_ids: Sequence[str]) -> list[JobHistory]:
        self.looked_up += job_ids
        return [job for job in self._others if job.job_id in job_ids]


def happened(number: int, second: float, sequence: int = 0) -> Transition:
    time = datetime.fromtimestamp(BASE + second, timezone.utc).isoformat()
    return Transition(job(number), f"s{sequence}", time, f"{number}/{sequence}", sequence)


def sent(
    *transitions: Transition, partition: int = 0, begin: int = 0, written: float = BASE + 100
) -> list[Record]:
    return [
        Record(
            partition,
            begin + offset,
            written + offset,
            transition.job_id.encode("utf-8", "surrogatepass"),
            value_of(transition),
            (),
        )
        for offset, transition in enumerate(transitions)
    ]


def altered(record: Record, **changed: object) -> Record:
    """Return a record with other fields; None removes a field. ``key`` replaces the key."""
    key = changed.pop("key", record.key)
    assert key is None or isinstance(key, bytes)
    fields = json.loads(record.value or b"") | changed
    value = json.dumps({name: text for name, text in fields.items() if text is not None})
    return record._replace(key=key, value=value.encode())


def letter(item: Transition | Poison, *, offset: int = 0, written: float = BASE + 200) -> Record:
    """The dead letter of ``item``."""
    item = Poison("too large", *item) if isinstance(item, Transition) else item
    made = MessageFormat("jobs", "job-bridge/test", cloudevents=False).dead_letter(
        item, REPLAY, written
    )
    return Record(0, offset, written, made.key, made.value, made.headers)


def compared(
    jobs: Sequence[JobHistory],
    records: list[Record],
    letters: list[Record] | None = None,
    *,
    by_state: bool = False,
    compacted: bool = False,
    others: Sequence[JobHistory] = (),
) -> tuple[Findings, list[Transition | Poison]]:
    topics = FakeTopics(jobs=records, **({"jobs-dlq": letters} if letters is not None else {}))
    with TransitionDatabase() as database:
        verification = Verification(
            database, SPAN, margin=MARGIN, by_state=by_state, compacted=compacted
        )
        findings = verification.run(FakeJobs(jobs, others), topics, "jobs", "jobs-dlq")
        items = [item for event in repairs(database) for item in event.items]
    assert topics.asked == [SPAN.since - MARGIN] * 2
    return findings, items


def kinds(findings: Findings) -> dict[str, int]:
    return {kind: count for kind, count in findings.counts.items() if count}
