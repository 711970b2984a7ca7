"""How far a recovery has come: for the log, the status and the metrics."""

import logging
from typing import Any

from bridge.clock import iso
from bridge.model.gap import Gap
from bridge.pipeline.context import PipelineContext

logger = logging.getLogger("bridge")

_LOG_SECONDS = 10.0


class RecoveryProgress:
    """Written by the loop's thread, read by any.

    Attributes:
        gap: The gap that is being published.
        total: Jobs to read; None while that is unknown.
        done: Jobs read so far.
    """

    def __init__(self, gap: Gap, total: int | None, context: PipelineContext) -> None:
        self.gap = gap
        self.total = total
        self.done = 0
        self._clock = context.clock
        self._counters = context.counters
        self._started = self._clock.monotonic()
        self._logged = self._started

    @property
    def seconds(self) -> float:
        """How long the recovery has taken so far."""
        return self._clock.monotonic() - self._started

    @property
    def eta_seconds(self) -> float | None:
        """How long the rest will take, by the rate so far; None while that is unknown."""
        if not self.total or not self.done:
            return None
        return max(0.0, (self.total - self.done) * self.seconds / self.done)

    def document(self) -> dict[str, Any]:
        """Return the entry of ``/status.json``."""
        return {
            "since": self.gap.since,
            "until": str(self.gap.until),
            "jobs_done": self.done,
            "jobs_total": self.total,
            "eta_seconds": self.eta_seconds,
        }

    def __str__(self) -> str:
        eta = self.eta_seconds
        left = f", about {eta:.0f} s left" if eta is not None else ""
        total = "?" if self.total is None else self.total
        since = "all transitions"
        if self.gap.since is not None:
            since = f"transitions since {iso(self.gap.since)}"
        return f"recovering from the jobs' history: {self.done} of {total} jobs read, {since}{left}"

    def read(self, jobs: int) -> None:
        """Count ``jobs`` more, and log the progress every ten seconds."""
        self.done += jobs
        if self._clock.monotonic() - self._logged >= _LOG_SECONDS:
            self._logged = self._clock.monotonic()
            logger.info("%s", self)

    def read_latest_only(self) -> None:
        """Count a job of which only the latest state is known."""
        self._counters.latest_only += 1
