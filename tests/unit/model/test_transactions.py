"""Figures of transactions."""

from __future__ import annotations

from bridge.model.transactions import BUCKETS, TransactionTotals


def test_committed_transactions_are_counted() -> None:
    totals = TransactionTotals()

    totals.commit(3, BUCKETS[0])
    totals.commit(4, BUCKETS[-1] + 1)

    assert (totals.committed, totals.messages) == (2, 7)
    assert totals.seconds == BUCKETS[0] + BUCKETS[-1] + 1
    assert totals.counts == [1, *[0] * (len(BUCKETS) - 1), 1]
