"""Verification: compares what the jobs tell of a time with what the topic has of it, by job and ``trans_id``."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from bridge.errors import Misconfigured
from bridge.model.gap import moment_of
from bridge.model.message import Record
from bridge.model.position import ClusterTime, position_from
from bridge.model.transition import REPLAY, Event, Transition
from bridge.pipeline.ledger import Arrived, Ledger, Told
from bridge.pipeline.ports import JobHistory, Reader

#: Jobs or messages that are handled at once.
_AT_ONCE = 1000
_EXAMPLES = 10

Advance = Callable[[str, int], None]


class Span(NamedTuple):
    """The transitions that are compared: those that happened from ``since`` up to ``until``, Unix seconds."""

    since: float
    until: float

    def holds(self, moment: float) -> bool:
        return self.since <= moment <= self.until


@dataclass(frozen=True, slots=True)
class Findings:
    """``counts`` by kind, and the first few of each kind in words."""

    span: Span
    counts: dict[str, int]
    examples: dict[str, list[str]]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.counts["missing"]


class Verification:
    """One comparison; ``ledger`` is empty and entered. ``advance`` hears what was done: ``jobs`` or ``messages``, and how many more.

    Where no history is kept (``by_state``) only the latest state of each job is known: it is compared by job and state,
    and a message of another state is not strange.
    """

    def __init__(self, ledger: Ledger, span: Span, *, margin: float, by_state: bool, advance: Advance = lambda *_: None) -> None:
        self._ledger, self._span, self._margin, self._by_state, self._advance = ledger, span, margin, by_state, advance

    def run(self, jobs: Iterator[JobHistory], reader: Reader, topic: str, dead_letters: str) -> Findings:
        """Read everything and compare. ``jobs`` are those updated since the span began. Raises the bridge's errors."""
        for chunk in _chunks(jobs):
            self._ledger.tell(told for job in chunk for told in self._told(job))
            self._advance("jobs", len(chunk))
        for records in reader.read(topic, self._begin):
            self._ledger.arrive(arrived for record in records if (arrived := self._arrived(record)))
            self._advance("messages", len(records))
        self._set_aside(reader, dead_letters)
        self._ledger.compare()
        counts, examples = self._ledger.counts(), self._ledger.examples(_EXAMPLES)
        if self._by_state:
            counts["strange"], examples["strange"] = 0, []
        return Findings(self._span, counts, examples)

    @property
    def _begin(self) -> float:
        return self._span.since - self._margin

    def _told(self, job: JobHistory) -> Iterator[Told]:
        for item in job.items:
            if isinstance(item, Transition) and self._span.holds(moment_of(item)):
                identity = item.state if self._by_state else item.trans_id
                yield Told(item.job_id, identity, item.sequence, item.state, item.time, item.trans_id)

    def _arrived(self, record: Record) -> Arrived | None:
        """A message about the span; one that cannot be read is a message that no job explains."""
        try:
            value = json.loads(record.value or b"")
            job, state, time, trans_id = (_plain(value[name]) for name in ("job_id", "state", "time", "trans_id"))
            moment = datetime.fromisoformat(time).timestamp()
        except (ValueError, KeyError, TypeError, OverflowError):
            return Arrived("?", f"{record.partition}:{record.offset}", record.partition, record.offset, "unreadable", "")
        if not self._span.holds(moment):
            return None
        return Arrived(job, state if self._by_state else trans_id, record.partition, record.offset, state, time)

    def _set_aside(self, reader: Reader, topic: str) -> None:
        try:
            for records in reader.read(topic, self._begin):
                self._ledger.set_aside(letter for record in records if (letter := self._letter(record)))
        except Misconfigured:
            return  # without that topic nothing was set aside

    def _letter(self, record: Record) -> tuple[str, str] | None:
        try:
            value: dict[str, Any] = json.loads(record.value or b"")
            return _plain(value["job_id"]), _plain(value["state" if self._by_state else "trans_id"])
        except (ValueError, KeyError, TypeError):
            return None


def repairs(ledger: Ledger) -> Iterator[Event]:
    """The missing transitions as events to publish, each job's in order."""
    for told in ledger.missing():
        transition = Transition(told.job, told.state, told.time, told.trans_id, told.sequence)
        yield Event(position_from(ClusterTime(0)), (transition,), origin=REPLAY)


def _plain(value: Any) -> str:
    """As text that can be kept: JSON may hold half a character."""
    return str(value).encode("utf-8", "replace").decode()


def _chunks(jobs: Iterator[JobHistory]) -> Iterator[list[JobHistory]]:
    chunk: list[JobHistory] = []
    for job in jobs:
        chunk.append(job)
        if len(chunk) >= _AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
