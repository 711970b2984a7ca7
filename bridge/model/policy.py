"""When to store a checkpoint, how long to wait, when that is to be said, when dead letters are too many."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

#: No acknowledgement for so long, with messages in flight, and something is wrong.
STALL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class CheckpointPolicy:
    """How stale the stored position may be.

    ``interval`` bounds what a crash repeats; 0 stores each position before anything more is sent.
    ``idle`` is for positions that moved past nothing but noise: they only have to stay inside the oplog.
    """

    interval: float = 1.0
    idle: float = 10.0

    @property
    def at_once(self) -> bool:
        """Whether nothing may be sent before what was settled is stored."""
        return self.interval == 0

    def due(self, elapsed: float, *, settled: bool) -> bool:
        """Whether to store, ``elapsed`` seconds after the last time; ``settled``: messages were settled since."""
        return elapsed >= (self.interval if settled else self.idle)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the n-th try: doubling from ``first`` to ``most`` seconds."""

    first: float = 0.1
    most: float = 30.0

    def wait(self, tries: int) -> float:
        """Seconds to wait after ``tries`` failures in a row (1 or more)."""
        return float(min(self.most, self.first * 2 ** min(tries - 1, 30)))


def stalled(age: float | None, complaint: Callable[[], str]) -> str:
    """What to say when the oldest message in flight has waited ``age`` seconds (None: there is none); empty while that is no trouble."""
    if age is None or age <= STALL_SECONDS:
        return ""
    words = complaint()
    return f"Kafka has acknowledged nothing for {age:.0f} s" + (f" ({words})" if words else "")


class DeadLetterBrake:
    """Counts dead letters of the last hour; too many mean that something larger is wrong."""

    HOUR = 3600.0

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: deque[float] = deque()

    def exceeded(self, now: float) -> bool:
        """Count one dead letter at ``now`` (monotonic seconds); True when that is one too many."""
        while self._times and now - self._times[0] >= self.HOUR:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) > self._most
