"""Policies: when to store a checkpoint, retry, report a stall, and stop on dead letters."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

#: Messages in flight without an acknowledgement for this long mean that something is wrong.
STALL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class CheckpointPolicy:
    """How old the stored position may become, in seconds.

    Attributes:
        interval: After messages were settled. It bounds the duplicates after a crash; 0 stores
            every position before the next message is sent.
        idle: After the position only moved past events without messages. It only has to stay inside
            the oplog.
        transactional: Whether each position is stored in the transaction of its messages. Then only
            positions without messages are stored by age.
    """

    interval: float = 1.0
    idle: float = 10.0
    transactional: bool = False

    @property
    def at_once(self) -> bool:
        """Whether each settled position must be stored before the next message is sent."""
        return self.interval == 0 and not self.transactional

    def due(self, elapsed: float, *, settled: bool) -> bool:
        """Return whether a checkpoint is due.

        Args:
            elapsed: Seconds since the last checkpoint was stored.
            settled: Whether messages were settled since.
        """
        return elapsed >= (self.interval if settled else self.idle)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next attempt: doubles from ``first`` to ``max_seconds``.

    Up to half of it is left out by chance, so that bridges that failed together try apart.

    Attributes:
        chance: Returns a number from 0 to 1.
    """

    first: float = 0.1
    max_seconds: float = 30.0
    chance: Callable[[], float] = random.random

    def wait(self, tries: int) -> float:
        """Return the seconds to wait after ``tries`` consecutive failures (at least 1)."""
        longest = float(min(self.max_seconds, self.first * 2 ** min(tries - 1, 30)))
        return longest * (1 - self.chance() / 2)


def stalled(age: float | None, complaint: Callable[[], str]) -> str:
    """Describe a stall of the acknowledgements; empty if there is no stall.

    Args:
        age: How long the oldest message in flight has waited, in seconds; None if nothing is in
            flight.
        complaint: Returns the Kafka client's latest warning.
    """
    if age is None or age < STALL_SECONDS:
        return ""
    cause = complaint()
    return f"Kafka has not acknowledged anything for {age:.0f} s" + (f" ({cause})" if cause else "")


class DeadLetterBrake:
    """Counts the dead letters of the last hour; too many mean a fault larger than a few jobs.

    It stops before an event, never inside one: the position of the events before it can be stored,
    so a restart continues with that event and counts from zero.
    """

    HOUR = 3600.0

    def __init__(self, max_per_hour: int) -> None:
        self.max_per_hour = max_per_hour
        self._times: deque[float] = deque()

    def engaged(self, now: float) -> bool:
        """Return whether the limit was reached within the hour before ``now`` (monotonic)."""
        while self._times and now - self._times[0] >= self.HOUR:
            self._times.popleft()
        return len(self._times) >= self.max_per_hour

    def count(self, letters: int, now: float) -> None:
        """Count the dead letters of an event at ``now`` (monotonic seconds)."""
        # Later letters than the limit change nothing.
        self._times.extend([now] * min(letters, self.max_per_hour))
