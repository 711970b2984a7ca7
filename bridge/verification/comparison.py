"""Verification: compares the transitions of the jobs with the messages of the topic."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.errors import Misconfigured
from bridge.model.job_history import JobHistory
from bridge.model.position import ClusterTime, position_before
from bridge.model.transition import REPLAY, Event, Poison, Transition
from bridge.pipeline.ports import Reader
from bridge.verification.database import TransitionDatabase
from bridge.verification.rows import Rows, Span, plain

#: The number of jobs that are inserted together.
_CHUNK_JOBS = 1000
#: The number of jobs that are looked up together; a longer id cannot be looked up.
_LOOKED_UP_JOBS, _MAX_ID_CHARACTERS = 500, 1000
#: The most examples of each kind.
MAX_EXAMPLES = 1000
#: The kinds that must not occur.
_FAULTS = ("missing", "strange", "wrong")

#: Called with ``jobs`` or ``messages``, and how many more were read.
Advance = Callable[[str, int], None]


class Jobs(Protocol):
    """Reads the jobs of the collection."""

    def jobs(self, since: float) -> Iterable[JobHistory]:
        """Return the jobs that were updated since a time, in Unix seconds."""

    def by_ids(self, job_ids: Sequence[str]) -> Iterable[JobHistory]:
        """Return the existing jobs among these ids."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The result: the counts by kind, and the first of each kind as text.

    Attributes:
        compacted: Whether only the latest message of each job was compared.
        late: How many transitions were not in the topic in time; None if that is not known.
    """

    span: Span
    counts: dict[str, int]
    examples: dict[str, list[str]]
    compacted: bool = False
    late: int | None = None

    @property
    def complete(self) -> bool:
        """Whether no transition is missing."""
        return not self.counts["missing"]

    @property
    def clean(self) -> bool:
        """Whether the topic contains all transitions, and only messages of transitions."""
        return not any(self.counts[kind] for kind in _FAULTS)

    @property
    def empty(self) -> bool:
        """Whether there was nothing to compare."""
        return not any(self.counts[kind] for kind in ("transitions", "messages", "set_aside"))


class Verification:
    """A comparison of jobs and topic.

    Args:
        database: Empty, and inside its context.
        span: The transitions that are compared, by their own times.
        margin: How far the writers' clocks may differ, in seconds.
        by_state: For jobs without a history: only each job's latest state is known. A message with
            another state of a job that exists is not unexpected.
        compacted: For a compacted topic: only the latest message of each job is compared.
        advance: Called with the progress.
    """

    def __init__(
        self,
        database: TransitionDatabase,
        span: Span,
        *,
        margin: float,
        by_state: bool,
        compacted: bool = False,
        advance: Advance = lambda *_: None,
    ) -> None:
        self._database = database
        self._span = span
        self._margin = margin
        self._by_state = by_state
        self._compacted = compacted
        self._rows = Rows(span, by_state=by_state)
        self._advance = advance

    def run(self, jobs: Jobs, reader: Reader, topic: str, dead_letter_topic: str) -> Findings:
        """Read everything and compare it.

        Args:
            jobs: The jobs.
            reader: Reads both topics.
            topic: The topic of the messages.
            dead_letter_topic: The topic of the dead letters; it may be missing.

        Raises:
            BridgeError: A read failed.
        """
        for chunk in _chunks(jobs.jobs(self._span.since)):
            self._add_jobs(chunk, required=True)
            self._advance("jobs", len(chunk))
        for records in reader.read(topic, self._read_since):
            self._database.add_received(map(self._rows.received, records))
            self._advance("messages", len(records))
        self._add_dead_letters(reader, dead_letter_topic)
        self._prepare()
        if self._look_up(jobs):
            self._prepare()
        counts, examples = self._database.counts(), self._database.examples(MAX_EXAMPLES)
        return Findings(self._span, counts, examples, self._compacted)

    def _prepare(self) -> None:
        self._database.prepare(by_state=self._by_state, compacted=self._compacted)

    @property
    def _read_since(self) -> float:
        """Where reading the topics starts: earlier than the span, because clocks may differ."""
        return self._span.since - self._margin

    def _add_jobs(self, jobs: Sequence[JobHistory], *, required: bool) -> None:
        self._database.add_documents(
            (plain(job.job_id), plain(job.document)) for job in jobs if job.document
        )
        self._database.add_expected(
            row for job in jobs for row in self._rows.expected(job, required=required)
        )

    def _look_up(self, jobs: Jobs) -> bool:
        """Add the jobs of unexplained messages; return whether any exists.

        The job may have been written after it was read, or its update time may be older than the
        span. Its transitions explain messages, and are not missing: they may be in flight.
        """
        last, any_exists = "", False
        while chunk := self._database.jobs_of_strange(last, _LOOKED_UP_JOBS):
            last = chunk[-1]
            usable = [job_id for job_id in chunk if job_id and len(job_id) <= _MAX_ID_CHARACTERS]
            existing = list(jobs.by_ids(usable))
            self._add_jobs(existing, required=False)
            any_exists = any_exists or bool(existing)
        return any_exists

    def _add_dead_letters(self, reader: Reader, topic: str) -> None:
        try:
            for records in reader.read(topic, self._read_since):
                self._database.add_dead_lettered(map(self._rows.dead_lettered, records))
        except Misconfigured:
            return  # Without the topic there are no dead letters.


def repairs(database: TransitionDatabase) -> Iterator[Event]:
    """Return the missing transitions as events, each job's in order.

    Publishing them dead-letters those that cannot be sent.
    """
    for row in database.missing():
        fields = (row.job, row.state, row.time, row.trans_id, row.sequence)
        item = Poison(row.reason, *fields) if row.reason else Transition(*fields)
        yield Event(position_before(ClusterTime(0)), (item,), origin=REPLAY)


def _chunks(jobs: Iterable[JobHistory]) -> Iterator[list[JobHistory]]:
    chunk: list[JobHistory] = []
    for job in jobs:
        chunk.append(job)
        if len(chunk) >= _CHUNK_JOBS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
