"""Compares committed transitions with arrived messages: missing, repeated, out of order."""

import threading
from collections import defaultdict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """The comparison of both sides at a moment."""

    jobs: int
    committed: int
    messages: int
    missing: int
    repeated: int
    out_of_order: int

    def __str__(self) -> str:
        return (
            f"{self.jobs} jobs, {self.committed} transitions committed, {self.messages} messages, "
            f"{self.missing} missing, {self.repeated} repeated, {self.out_of_order} out of order"
        )


class Scoreboard:
    """Records commits and arrivals by ``trans_id``; safe to use from any thread.

    A first arrival is out of order if a later transition of the same job arrived before it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._committed: dict[str, tuple[str, int]] = {}
        self._arrived: set[str] = set()
        self._furthest: dict[str, int] = defaultdict(lambda: -1)
        self._messages = 0
        self._repeated = 0
        self._out_of_order = 0

    def commit(self, job_id: str, sequence: int, trans_id: str) -> None:
        """Record a transition that a majority holds."""
        with self._lock:
            self._committed[trans_id] = (job_id, sequence)

    def arrive(self, job_id: str, sequence: int, trans_id: str) -> bool:
        """Record a message; False if the transition arrived before."""
        with self._lock:
            self._messages += 1
            if trans_id in self._arrived:
                self._repeated += 1
                return False
            self._arrived.add(trans_id)
            self._out_of_order += sequence < self._furthest[job_id]
            self._furthest[job_id] = max(sequence, self._furthest[job_id])
            return True

    def tally(self) -> Tally:
        """Compare both sides now."""
        with self._lock:
            missing = len(self._committed.keys() - self._arrived)
            jobs = len({job_id for job_id, _ in self._committed.values()})
            return Tally(
                jobs,
                len(self._committed),
                self._messages,
                missing,
                self._repeated,
                self._out_of_order,
            )
