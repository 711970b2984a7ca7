"""The two clocks, behind one protocol, so that tests can turn the hands."""

import time
from typing import Protocol


class Clock(Protocol):
    """``monotonic`` for every wait and timeout, ``now`` (Unix seconds) only for what people read."""

    def monotonic(self) -> float: ...

    def now(self) -> float: ...


class SystemClock:
    """The clocks of this machine."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> float:
        return time.time()
