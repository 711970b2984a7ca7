"""The last 15 minutes of a bridge in small numbers, and its objective; for the status page."""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from bridge.model import objective
from bridge.observability.counters import Distribution
from bridge.observability.snapshot import Snapshot

#: How far back the charts go, and the time between two samples.
HISTORY_SECONDS = 900.0
SAMPLE_SECONDS = 5.0


class _Sample(NamedTuple):
    """The counts of a moment; ``time`` is Unix seconds, ``moment`` monotonic seconds."""

    time: float
    moment: float
    acked: int
    lag: float | None
    latency: Distribution
    dead_lettered: int
    lost: int


class History:
    """Keeps a bounded number of samples. A single thread adds; reading is safe on any thread."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=int(HISTORY_SECONDS / SAMPLE_SECONDS) + 1)

    def is_due(self, moment: float) -> bool:
        """Return whether the next sample is due at ``moment`` (monotonic seconds)."""
        return not self._samples or moment - self._samples[-1].moment >= SAMPLE_SECONDS

    def add(self, snapshot: Snapshot, *, time: float, moment: float) -> None:
        """Add a sample, taken at ``time`` (Unix seconds) and ``moment`` (monotonic seconds)."""
        counters = snapshot.counters
        lag = snapshot.gauges()["job_bridge_lag_seconds"]
        sample = _Sample(
            time,
            moment,
            counters.acked,
            lag,
            counters.latency,
            dead_lettered=counters.dead_lettered,
            lost=counters.lost,
        )
        self._samples.append(sample)

    def document(self, time: float) -> dict[str, Any]:
        """Return ``/history.json``; ``time`` is the present in Unix seconds. It has no details."""
        samples = list(self._samples)  # A copy: another thread may add.
        return {
            "server_time": time,
            "seconds": HISTORY_SECONDS,
            "objective": _objective(samples),
            "samples": [_point(earlier, later) for earlier, later in pairwise(samples)],
        }


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """Return the value below which ``share`` of the counted values are; None without values.

    Within a bucket values count as evenly distributed, as Prometheus' histogram_quantile does.
    """
    rank = share * sum(counts)
    below, lower = 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= rank:
            return lower + (bound - lower) * (rank - below) / count
        below, lower = below + count, bound
    return lower if sum(counts) else None


def _point(earlier: _Sample, later: _Sample) -> dict[str, float | None]:
    counts = _difference(earlier, later)
    bounds = later.latency.bounds
    seconds = later.moment - earlier.moment
    return {
        "time": later.time,
        "rate": (later.acked - earlier.acked) / seconds if seconds > 0 else 0.0,
        "lag": later.lag,
        "p50": quantile(bounds, counts, 0.5),
        "p99": quantile(bounds, counts, 0.99),
    }


def _difference(earlier: _Sample, later: _Sample) -> list[int]:
    return [
        after - before
        for before, after in zip(earlier.latency.counts, later.latency.counts, strict=True)
    ]


def _objective(samples: Sequence[_Sample]) -> dict[str, Any]:
    """Return the objective, its share since the start and recently, and the budget left."""
    since_start = recent = None
    if samples:
        last = samples[-1]
        since_start = _share(last, last.latency.counts, last.dead_lettered, last.lost)
    if len(samples) > 1:
        first = samples[0]
        recent = _share(
            last,
            _difference(first, last),
            last.dead_lettered - first.dead_lettered,
            last.lost - first.lost,
        )
    spent = None if since_start is None else (1 - since_start) / (1 - objective.SHARE)
    return {
        "target": objective.SHARE,
        "seconds": objective.SECONDS,
        "share": since_start,
        "recent_share": recent,
        "budget_left": None if spent is None else 1 - spent,
    }


def _share(sample: _Sample, counts: Sequence[int], dead_lettered: int, lost: int) -> float | None:
    """Return the share of transitions within the objective, as the recording rules count it.

    A dead letter and a loss are late, and neither is among the latencies. Those of recoveries and
    sweeps count too, although the latencies of their messages are unknown.
    """
    total = sum(counts) + dead_lettered + lost
    within = sum(counts[: sample.latency.bounds.index(objective.SECONDS) + 1])
    return within / total if total else None
