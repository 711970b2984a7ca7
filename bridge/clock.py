"""The monotonic and the wall clock, as a protocol for tests; and times as text."""

import time
from datetime import datetime, timezone
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


def iso(seconds: float) -> str:
    """Return Unix seconds as an ISO 8601 time in UTC, to the second."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def exact_iso(seconds: float) -> str:
    """Return Unix seconds as an ISO 8601 time in UTC, with a fraction unless it is zero."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def unix_time(text: str) -> float | None:
    """Return the Unix seconds of an ISO 8601 time; None for other text."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
