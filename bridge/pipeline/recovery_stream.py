"""Recovery: what the change stream has forgotten, published from the jobs' own history before the stream goes on."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from bridge.clock import Clock
from bridge.model.gap import Gap
from bridge.model.job_history import JobHistory
from bridge.model.position import Position
from bridge.model.transition import RECOVERY, Batch, Event, Transition
from bridge.observability.metrics import Counters
from bridge.pipeline.ports import Stream

logger = logging.getLogger("bridge")

#: Jobs that are read at once.
_JOBS = 200
#: Jobs that are remembered as told: some megabytes.
_REMEMBERED = 50_000
_SAY_SECONDS = 10.0


class RecoveryProgress:
    """How far a recovery is; written by the loop's thread, read by anybody."""

    def __init__(self, gap: Gap, total: int | None, clock: Clock) -> None:
        self.gap, self.total, self.done = gap, total, 0
        self._clock = clock
        self._began = self._said = clock.monotonic()

    @property
    def seconds(self) -> float:
        """How long it takes so far."""
        return self._clock.monotonic() - self._began

    @property
    def eta_seconds(self) -> float | None:
        """How long it will go on; None while that is unknown."""
        if not self.total or not self.done:
            return None
        return max(0.0, (self.total - self.done) * self.seconds / self.done)

    def document(self) -> dict[str, Any]:
        """As ``/status.json`` shows it."""
        return {
            "since": self.gap.since,
            "until": str(self.gap.until),
            "jobs_done": self.done,
            "jobs_total": self.total,
            "eta_seconds": self.eta_seconds,
        }

    def __str__(self) -> str:
        eta = self.eta_seconds
        left = f", about {eta:.0f} s to go" if eta is not None else ""
        return f"publishing from the jobs' history: {self.done} of {'?' if self.total is None else self.total} jobs read{left}"

    def read(self, jobs: int) -> None:
        """Note so many jobs more, and say so now and then."""
        self.done += jobs
        if self._clock.monotonic() - self._said >= _SAY_SECONDS:
            self._said = self._clock.monotonic()
            logger.info("%s", self)


class RecoveryStream:
    """A stream of a gap and then of what follows; see :class:`bridge.pipeline.ports.Stream`.

    Jobs come in the order of their last update, those without one first, each with its transitions of the gap in their
    order. One that is updated while the others are read may come again, and is told once, as long as it is remembered: what
    it got since is the stream's to tell. ``more`` gives the next of them, so many at most, an empty list when all
    were given; ``follow`` the stream behind them, opened. Both give None until they have it. The position after the gap is reached when all of it is
    settled, like any other. What they raise is raised.
    """

    def __init__(
        self,
        more: Callable[[int], Sequence[JobHistory] | None],
        gap: Gap,
        start: Position,
        follow: Callable[[], Stream | None],
        report: RecoveryProgress,
        counters: Counters,
        *,
        latest_only: bool,
    ) -> None:
        self._more, self._gap, self._start, self._follow = more, gap, start, follow
        self._report, self._counters, self._latest_only = report, counters, latest_only
        self._stream: Stream | None = None
        self._read_all = False
        self._recovery_cursor = start.recovery_cursor
        #: Jobs that were told, the latest of them and those before: an older half is dropped.
        self._told: set[str] = set()
        self._told_before: set[str] = set()

    def read(self) -> Batch | None:
        if self._stream is not None:
            return self._stream.read()
        return self._behind() if self._read_all else self._before()

    def _before(self) -> Batch | None:
        jobs = self._more(_JOBS)
        if jobs is None:
            return None
        if not jobs:
            self._read_all = True
            return self._behind()
        new = [self._is_new(job) for job in jobs]
        self._report.read(sum(new))
        events = list(map(self._event, jobs, new))
        return Batch(events, events[-1].position)

    def _behind(self) -> Batch | None:
        self._stream = self._follow()
        return None if self._stream is None else Batch((), self._gap.until)

    def _event(self, job: JobHistory, new: bool) -> Event:
        self._recovery_cursor = max(job.recovery_cursor, self._recovery_cursor)
        items = self._gap.select(job.items) if new else []
        if self._latest_only and any(isinstance(item, Transition) for item in items):
            self._counters.latest_only += 1
        return Event(
            self._start._replace(recovery_cursor=self._recovery_cursor), items, origin=RECOVERY
        )

    def _is_new(self, job: JobHistory) -> bool:
        """Whether it was not told yet, as far as that is remembered; it is from now on."""
        if not (job.job_id and job.items):
            return True
        # What a document keeps, and no other has: an id alone may be in two, where a service errs.
        name = f"{job.job_id} {job.items[0].trans_id}"
        if name in self._told or name in self._told_before:
            return False
        if len(self._told) >= _REMEMBERED // 2:
            self._told_before, self._told = self._told, set()
        self._told.add(name)
        return True
