"""Verification: compares what the jobs tell of a time with what the topic has of it, by job and ``trans_id``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from bridge.errors import Misconfigured
from bridge.model.gap import unix_time_of
from bridge.model.message import Record, fields_of
from bridge.model.position import ClusterTime, position_before
from bridge.model.transition import REPLAY, Event, Poison, Transition
from bridge.pipeline.ports import JobHistory, Reader
from bridge.verification.database import DeadLettered, Expected, Received, TransitionDatabase

#: Jobs or messages that are handled at once.
_AT_ONCE = 1000
_EXAMPLES = 10
_NAMES = ("job_id", "state", "time", "trans_id")

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

    def __init__(
        self,
        ledger: TransitionDatabase,
        span: Span,
        *,
        margin: float,
        by_state: bool,
        advance: Advance = lambda *_: None,
    ) -> None:
        self._ledger, self._span, self._margin, self._by_state, self._advance = (
            ledger,
            span,
            margin,
            by_state,
            advance,
        )

    def run(
        self, jobs: Iterator[JobHistory], reader: Reader, topic: str, dead_letters: str
    ) -> Findings:
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
        """From when on the topics are read: the writers' clocks may differ."""
        return self._span.since - self._margin

    def _told(self, job: JobHistory) -> Iterator[Expected]:
        for item in job.items:
            if isinstance(item, Transition):
                if self._span.holds(unix_time_of(item)):
                    yield Expected(
                        item.job_id,
                        self._identity(*item[1:4]),
                        item.sequence,
                        item.state,
                        item.time,
                        item.trans_id,
                    )
            elif told := self._unsendable(item):
                yield told

    def _unsendable(self, item: Poison) -> Expected | None:
        """What cannot be sent belongs into the dead letters, where it can be known again there."""
        identity, moment = self._identity(item.state, item.time, item.trans_id), _moment(item.time)
        if not (item.job_id and identity) or moment is None or not self._span.holds(moment):
            return None
        job, *fields = map(
            _plain, (item.job_id, identity, item.state, item.time, item.trans_id, item.reason)
        )
        return Expected(job, fields[0], item.sequence, *fields[1:])

    def _identity(self, state: str, time: str, trans_id: str) -> str:
        """What a transition is known by on both sides; empty where there is nothing."""
        if self._by_state:
            return state
        return trans_id or (f"{state} at {time}" if state and time else "")

    def _arrived(self, record: Record) -> Received | None:
        """A message about the span; one that cannot be read is a message that no job explains, of the time it was written."""
        says = _says(record)
        moment, at = (
            _moment(says.get("time", "")),
            (record.partition, record.offset, record.timestamp),
        )
        if len(says) < len(_NAMES) or moment is None:
            return (
                Received("?", f"{at[0]}:{at[1]}", *at, "unreadable", "")
                if self._span.holds(record.timestamp)
                else None
            )
        if not self._span.holds(moment):
            return None
        return Received(
            says["job_id"],
            says["state" if self._by_state else "trans_id"],
            *at,
            says["state"],
            says["time"],
        )

    def _set_aside(self, reader: Reader, topic: str) -> None:
        try:
            for records in reader.read(topic, self._begin):
                self._ledger.set_aside(map(self._letter, records))
        except Misconfigured:
            return  # without that topic nothing was set aside

    def _letter(self, record: Record) -> DeadLettered:
        """A dead letter; where it does not say when its transition happened, it is of the time it was written."""
        says = _says(record)
        job, state, time, trans_id = (says.get(name, "") for name in _NAMES)
        identity, moment = self._identity(state, time, trans_id), _moment(time)
        due = self._span.holds(record.timestamp if moment is None else moment)
        # A place in another topic: not to be taken for that of a message that cannot be read.
        return DeadLettered(
            job or "?",
            identity or f"dead letter {record.partition}:{record.offset}",
            state,
            time,
            due,
        )


def repairs(ledger: TransitionDatabase) -> Iterator[Event]:
    """The missing transitions as events to publish, each job's in order; what cannot be sent is set aside by that."""
    for told in ledger.missing():
        known = (told.job, told.state, told.time, told.trans_id, told.sequence)
        item = Poison(told.reason, *known) if told.reason else Transition(*known)
        yield Event(position_before(ClusterTime(0)), (item,), origin=REPLAY)


def _says(record: Record) -> dict[str, str]:
    """The four fields of a message as text, as far as it has them; anybody may have written it, and anything."""
    value = fields_of(record.value) or {}
    try:
        return {name: _plain(value[name]) for name in _NAMES if name in value}
    except RecursionError:  # read by C, and written deeper than Python does
        return {}


def _moment(time: str) -> float | None:
    """Unix seconds of an ISO 8601 time; None where it is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


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
