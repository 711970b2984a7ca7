"""Plain numbers that a bridge counts; read by the metrics and the status, and by no decision."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from copy import copy
from typing import Self

#: Upper bounds of the latency histogram, in seconds.
BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    3600.0,
)


class Counters:
    """The counts of a bridge since its start; ``metrics.COUNTERS`` describes each.

    Written by the main thread only; reading is safe on any thread.
    """

    def __init__(self) -> None:
        self.read = 0
        self.sent = 0
        self.acked = 0
        self.lost = 0
        self.dead_lettered = 0
        self.recovered = 0
        self.latest_only = 0
        self.swept = 0
        self.possible_duplicates = 0
        self.left_out = 0
        self.checkpoints = 0
        self.fenced = 0
        self.history_lost = 0
        self.clients_replaced = 0
        self.skipped: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        self.latency_counts = [0] * (len(BUCKETS) + 1)
        self.latency_sum = 0.0

    def skip(self, reason: str) -> None:
        """Count an event without a message."""
        self.skipped[reason] += 1

    def acknowledge(self, committed: Sequence[float | None], now: float) -> None:
        """Count acknowledged messages.

        Args:
            committed: The time of each message's commit, in Unix seconds; None where unknown.
            now: The time of the acknowledgement, in Unix seconds.
        """
        self.acked += len(committed)
        # Commit times have milliseconds, and many messages of a backlog share the same.
        for commit, count in Counter(committed).items():
            if commit is not None:
                latency = max(0.0, now - commit)
                self.latency_counts[bisect_left(BUCKETS, latency)] += count
                self.latency_sum += latency * count

    def copied(self) -> Self:
        """Return the counts of this moment."""
        counts = copy(self)
        counts.skipped = self.skipped.copy()
        counts.restarts = self.restarts.copy()
        counts.latency_counts = [*self.latency_counts]
        return counts
