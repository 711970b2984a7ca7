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

    A first arrival is out of order if a later transition of the same job arrived before it. The
    order is that of the service's commits, over all recoveries of a job.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: The transitions of each job, by their ordinals.
        self._committed: dict[str, dict[int, str]] = defaultdict(dict)
        #: The numbers of the first arrivals, in the order of arrival.
        self._arrived: dict[str, int] = {}
        self._messages = 0
        self._job_arrivals: dict[str, int] = defaultdict(int)

    def commit(self, job_id: str, sequence: int, trans_id: str) -> None:
        """Record a transition that a majority holds."""
        with self._lock:
            self._committed[job_id][sequence] = trans_id

    def arrive(self, job_id: str, trans_id: str) -> int | None:
        """Record a message.

        Returns the number of the job's transitions that arrived before; None for a duplicate.
        """
        with self._lock:
            self._messages += 1
            if trans_id in self._arrived:
                return None
            self._arrived[trans_id] = len(self._arrived)
            self._job_arrivals[job_id] += 1
            return self._job_arrivals[job_id] - 1

    def tally(self) -> Tally:
        """Compare both sides now."""
        with self._lock:
            committed = {trans_id for job in self._committed.values() for trans_id in job.values()}
            return Tally(
                jobs=len(self._committed),
                committed=len(committed),
                messages=self._messages,
                missing=len(committed - self._arrived.keys()),
                repeated=self._messages - len(self._arrived),
                out_of_order=sum(map(self._out_of_order, self._committed.values())),
            )

    def _out_of_order(self, job: dict[int, str]) -> int:
        """Count the transitions of a job that arrived after a later one."""
        count, earliest = 0, len(self._arrived)
        for sequence in sorted(job, reverse=True):
            number = self._arrived.get(job[sequence])
            if number is not None:
                count += number > earliest
                earliest = min(number, earliest)
        return count
