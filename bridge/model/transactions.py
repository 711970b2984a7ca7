"""Figures of Kafka's transactions."""

from bisect import bisect_left

#: Upper bounds of the histogram of a transaction's duration, in seconds.
BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class TransactionTotals:
    """Figures of all transactions of this process; read by metrics, and by no decision.

    Attributes:
        committed: Transactions that Kafka confirmed.
        aborted: Transactions that were open when their producer was discarded.
        messages: Messages of the committed transactions, without the records of positions.
        seconds: From begin to the commit's answer, summed over the committed transactions.
        counts: Committed transactions by duration, for each of ``BUCKETS`` and above.
    """

    def __init__(self) -> None:
        self.committed = 0
        self.aborted = 0
        self.messages = 0
        self.seconds = 0.0
        self.counts = [0] * (len(BUCKETS) + 1)

    def commit(self, messages: int, seconds: float) -> None:
        """Count a committed transaction."""
        self.committed += 1
        self.messages += messages
        self.seconds += seconds
        self.counts[bisect_left(BUCKETS, seconds)] += 1
