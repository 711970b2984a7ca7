"""The rate of the simulated job service."""

from __future__ import annotations

import asyncio
import contextlib


class Pace:
    """Limits the rate; time lost in an outage is not made up."""

    def __init__(self, rate: float | None, stop: asyncio.Event) -> None:
        self._interval = 0.0 if rate is None else 1 / rate
        self._stop = stop
        self._next = 0.0

    async def turn(self) -> bool:
        """Wait for the next turn; false once stopped."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next)
        self._next = turn + self._interval
        return not (await set_within(self._stop, turn - now) if turn > now else self._stop.is_set())


async def set_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for ``seconds`` at most; whether ``stop`` was set by then."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
