"""The monotonic and the wall clock, as a protocol, so that tests can set the time."""

import time
from typing import Protocol


class Clock(Protocol):
    """``monotonic`` seconds for waits and timeouts; ``now`` for wall-clock times (Unix seconds)."""

    def monotonic(self) -> float: ...

    def now(self) -> float: ...


class SystemClock:
    """The clocks of this machine."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> float:
        return time.time()
