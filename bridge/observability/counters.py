"""Plain numbers that a bridge counts; read by the metrics and the status, and by no decision."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
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
#: Upper bounds of the histogram of a transaction's duration, in seconds.
TRANSACTION_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Upper bounds of the histogram of a transaction's messages.
TRANSACTION_MESSAGES = (1, 10, 100, 1000, 5000, 20000)


@dataclass
class Distribution:
    """Values counted by the upper bounds of a histogram's buckets, and their sum."""

    bounds: Sequence[float]
    #: For each bound the values up to it and above the bound before; the last has no bound.
    counts: list[int] = field(init=False)
    sum: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float, count: int = 1) -> None:
        """Count ``value``, ``count`` times."""
        self.counts[bisect_left(self.bounds, value)] += count
        self.sum += value * count

    def copied(self) -> Self:
        """Return the counts of this moment."""
        counts = copy(self)
        counts.counts = [*self.counts]
        return counts


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
        self.latency = Distribution(BUCKETS)
        self.transactions_committed = 0
        self.transactions_aborted = 0
        self.transaction_messages = Distribution(TRANSACTION_MESSAGES)
        self.transaction_seconds = Distribution(TRANSACTION_SECONDS)

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
                self.latency.add(max(0.0, now - commit), count)

    def transaction(self, messages: int, seconds: float) -> None:
        """Count a committed transaction of exactly-once.

        Args:
            messages: The messages in it, dead letters included, without the checkpoint's record.
            seconds: From its first message to the answer to its commit.
        """
        self.transactions_committed += 1
        self.transaction_messages.add(messages)
        self.transaction_seconds.add(seconds)

    def copied(self) -> Self:
        """Return the counts of this moment."""
        counts = copy(self)
        counts.skipped = self.skipped.copy()
        counts.restarts = self.restarts.copy()
        counts.latency = self.latency.copied()
        counts.transaction_messages = self.transaction_messages.copied()
        counts.transaction_seconds = self.transaction_seconds.copied()
        return counts
