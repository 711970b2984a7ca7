"""Verification: compares the transitions of the jobs with the messages of the topic."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from bridge.errors import Misconfigured
from bridge.model.gap import unix_time_of
from bridge.model.job_history import JobHistory
from bridge.model.message import Record, fields_of
from bridge.model.position import ClusterTime, position_before
from bridge.model.transition import REPLAY, Event, Poison, Transition
from bridge.pipeline.ports import Reader
from bridge.verification.database import DeadLettered, Expected, Received, TransitionDatabase

#: The number of jobs that are inserted together.
_CHUNK_JOBS = 1000
_EXAMPLES_PER_KIND = 10
_NAMES = ("job_id", "state", "time", "trans_id")

#: Called with ``jobs`` or ``messages``, and how many more were read.
Advance = Callable[[str, int], None]


class Span(NamedTuple):
    """A time span of transitions: from ``since`` to ``until``, in Unix seconds, inclusive."""

    since: float
    until: float

    def contains(self, moment: float) -> bool:
        return self.since <= moment <= self.until


@dataclass(frozen=True, slots=True)
class Findings:
    """The result: the counts by kind, and the first few of each kind as text."""

    span: Span
    counts: dict[str, int]
    examples: dict[str, list[str]]

    @property
    def complete(self) -> bool:
        """Whether no transition is missing."""
        return not self.counts["missing"]


class Verification:
    """A comparison of jobs and topic.

    Args:
        database: Empty, and inside its context.
        span: The transitions that are compared, by their own times.
        margin: How far the writers' clocks may differ, in seconds.
        by_state: For jobs without a history: only each job's latest state is known. It is compared
            by job and state, and a message with another state is not unexpected.
        advance: Called with the progress.
    """

    def __init__(
        self,
        database: TransitionDatabase,
        span: Span,
        *,
        margin: float,
        by_state: bool,
        advance: Advance = lambda *_: None,
    ) -> None:
        self._database = database
        self._span = span
        self._margin = margin
        self._by_state = by_state
        self._advance = advance

    def run(
        self, jobs: Iterator[JobHistory], reader: Reader, topic: str, dead_letter_topic: str
    ) -> Findings:
        """Read everything and compare it.

        Args:
            jobs: The jobs that were updated since the span started.
            reader: Reads both topics.
            topic: The topic of the messages.
            dead_letter_topic: The topic of the dead letters; it may be missing.

        Raises:
            BridgeError: A read failed.
        """
        for chunk in _chunks(jobs):
            self._database.add_expected(row for job in chunk for row in self._expected(job))
            self._advance("jobs", len(chunk))
        for records in reader.read(topic, self._read_since):
            self._database.add_received(
                row for record in records if (row := self._received(record))
            )
            self._advance("messages", len(records))
        self._add_dead_letters(reader, dead_letter_topic)
        self._database.prepare()
        counts = self._database.counts()
        examples = self._database.examples(_EXAMPLES_PER_KIND)
        if self._by_state:
            counts["strange"], examples["strange"] = 0, []
        return Findings(self._span, counts, examples)

    @property
    def _read_since(self) -> float:
        """Where reading the topics starts: earlier than the span, because clocks may differ."""
        return self._span.since - self._margin

    def _expected(self, job: JobHistory) -> Iterator[Expected]:
        for item in job.items:
            if isinstance(item, Transition):
                if self._span.contains(unix_time_of(item)):
                    yield Expected(
                        item.job_id,
                        self._identity(*item[1:4]),
                        item.sequence,
                        item.state,
                        item.time,
                        item.trans_id,
                    )
            elif row := self._expected_dead_letter(item):
                yield row

    def _expected_dead_letter(self, item: Poison) -> Expected | None:
        """Expect a dead letter, if the item has enough fields to find it again."""
        identity = self._identity(item.state, item.time, item.trans_id)
        moment = _unix_time(item.time)
        if not (item.job_id and identity) or moment is None or not self._span.contains(moment):
            return None
        job, *fields = map(
            _plain, (item.job_id, identity, item.state, item.time, item.trans_id, item.reason)
        )
        return Expected(job, fields[0], item.sequence, *fields[1:])

    def _identity(self, state: str, time: str, trans_id: str) -> str:
        """Return the text that identifies a transition on both sides; empty without fields."""
        if self._by_state:
            return state
        return trans_id or (f"{state} at {time}" if state and time else "")

    def _received(self, record: Record) -> Received | None:
        """Return the row of a message, or None outside of the span.

        An unreadable message has the time when it was written, and matches no job.
        """
        fields = _fields(record)
        moment = _unix_time(fields.get("time", ""))
        written = (record.partition, record.offset, record.timestamp)
        if len(fields) < len(_NAMES) or moment is None:
            identity = f"{record.partition}:{record.offset}"
            return (
                Received("?", identity, *written, state="unreadable", time="")
                if self._span.contains(record.timestamp)
                else None
            )
        if not self._span.contains(moment):
            return None
        return Received(
            fields["job_id"],
            fields["state" if self._by_state else "trans_id"],
            *written,
            state=fields["state"],
            time=fields["time"],
        )

    def _add_dead_letters(self, reader: Reader, topic: str) -> None:
        try:
            for records in reader.read(topic, self._read_since):
                self._database.add_dead_lettered(map(self._dead_lettered, records))
        except Misconfigured:
            return  # Without the topic there are no dead letters.

    def _dead_lettered(self, record: Record) -> DeadLettered:
        """Return the row of a dead letter; without a time, the time when it was written counts."""
        fields = _fields(record)
        job, state, time, trans_id = (fields.get(name, "") for name in _NAMES)
        identity, moment = self._identity(state, time, trans_id), _unix_time(time)
        in_span = self._span.contains(record.timestamp if moment is None else moment)
        # The words keep it apart from the partition and offset of an unreadable message.
        return DeadLettered(
            job or "?",
            identity or f"dead letter {record.partition}:{record.offset}",
            state,
            time,
            in_span,
        )


def repairs(database: TransitionDatabase) -> Iterator[Event]:
    """Return the missing transitions as events, each job's in order.

    Publishing them dead-letters those that cannot be sent.
    """
    for row in database.missing():
        fields = (row.job, row.state, row.time, row.trans_id, row.sequence)
        item = Poison(row.reason, *fields) if row.reason else Transition(*fields)
        yield Event(position_before(ClusterTime(0)), (item,), origin=REPLAY)


def _fields(record: Record) -> dict[str, str]:
    """Return those of the four fields that a message contains, as text.

    Any program may have written the message, so any content is possible.
    """
    value = fields_of(record.value) or {}
    try:
        return {name: _plain(value[name]) for name in _NAMES if name in value}
    except RecursionError:  # The C parser reads deeper nesting than Python can print.
        return {}


def _unix_time(time: str) -> float | None:
    """Return the Unix seconds of an ISO 8601 time; None for other text."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _plain(value: Any) -> str:
    """Return text that SQLite can store: JSON may contain half of a surrogate pair."""
    return str(value).encode("utf-8", "replace").decode()


def _chunks(jobs: Iterator[JobHistory]) -> Iterator[list[JobHistory]]:
    chunk: list[JobHistory] = []
    for job in jobs:
        chunk.append(job)
        if len(chunk) >= _CHUNK_JOBS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
