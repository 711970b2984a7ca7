"""Delivers a gap from the jobs' history, and then the change stream after it."""

from bridge.model.gap import Gap
from bridge.model.job_history import JobHistory
from bridge.model.position import Position
from bridge.model.transition import RECOVERY, Batch, Event, Transition
from bridge.pipeline.ports import SlowCall, SlowReader, Stream
from bridge.pipeline.recovery_progress import RecoveryProgress

_JOBS_AT_ONCE = 200
#: Jobs remembered as delivered, to leave them out when they are read again; some megabytes.
_MAX_REMEMBERED = 50_000


class _DeliveredJobs:
    """Remembers the latest jobs that were delivered; forgets the older half when full."""

    def __init__(self) -> None:
        self._latest: set[str] = set()
        self._older: set[str] = set()

    def add(self, job: JobHistory) -> bool:
        """Remember a job; return whether it is new."""
        if not (job.job_id and job.items):
            return True
        # The first transition's identity is part of the key: a faulty service may use an id twice.
        key = f"{job.job_id} {job.items[0].trans_id}"
        if key in self._latest or key in self._older:
            return False
        if len(self._latest) >= _MAX_REMEMBERED // 2:
            self._older = self._latest
            self._latest = set()
        self._latest.add(key)
        return True


class RecoveryStream:
    """A stream of a gap and of the events after it; see :class:`bridge.pipeline.ports.Stream`.

    Jobs come in the order of their last update, those without an update time first. Each brings its
    transitions of the gap, in their order. A job updated during the read may be read twice; the
    second time is dropped, because the change stream will deliver the changes. The position after
    the gap is reached when all of the gap is settled.
    """

    def __init__(
        self,
        jobs: SlowReader[JobHistory],
        following: SlowCall[Stream],
        gap: Gap,
        *,
        start: Position,
        progress: RecoveryProgress,
        latest_only: bool,
    ) -> None:
        """Create a stream that has read nothing yet.

        Args:
            jobs: The jobs of the gap.
            following: Opens the change stream after the gap.
            gap: Which of a job's transitions to deliver.
            start: The lost position; its recovery cursor shows how far an earlier recovery came.
            progress: Counts the jobs.
            latest_only: Whether documents contain the latest state only, and no history.
        """
        self._jobs = jobs
        self._following = following
        self._gap = gap
        self._start = start
        self._progress = progress
        self._latest_only = latest_only
        self._cursor = start.recovery_cursor
        self._delivered = _DeliveredJobs()
        self._stream: Stream | None = None

    def read(self) -> Batch | None:
        if self._stream is not None:
            return self._stream.read()
        return self._follow() if self._jobs.ended else self._read_jobs()

    def _read_jobs(self) -> Batch | None:
        jobs = self._jobs.poll(_JOBS_AT_ONCE)
        if not jobs:
            return self._follow() if self._jobs.ended else None
        new = [self._delivered.add(job) for job in jobs]
        self._progress.read(sum(new))
        events = list(map(self._event, jobs, new))
        return Batch(events, events[-1].position)

    def _follow(self) -> Batch | None:
        self._stream = self._following.poll()
        return None if self._stream is None else Batch((), self._gap.until)

    def _event(self, job: JobHistory, new: bool) -> Event:
        self._cursor = max(job.recovery_cursor, self._cursor)
        items = self._gap.select(job) if new else []
        if self._latest_only and any(isinstance(item, Transition) for item in items):
            self._progress.read_latest_only()
        position = self._start._replace(recovery_cursor=self._cursor)
        return Event(position, items, origin=RECOVERY)
