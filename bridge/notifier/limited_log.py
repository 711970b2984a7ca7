"""A log of a library: a line at once, and then at most a line each 30 seconds."""

import logging

from bridge.clock import Clock

logger = logging.getLogger("bridge")

#: The shortest time between two lines.
INTERVAL_SECONDS = 30.0


class LimitedLog:
    """Logs the first warning, and leaves out those that follow too soon; not synchronised.

    Attributes:
        left_out: The number of warnings since the last line.
    """

    def __init__(self, clock: Clock, seconds: float = INTERVAL_SECONDS) -> None:
        self.left_out = 0
        self._clock = clock
        self._seconds = seconds
        self._next = float("-inf")

    def warn(self, text: str) -> None:
        """Log ``text``, unless the last line is too recent."""
        now = self._clock.monotonic()
        if now < self._next:
            self.left_out += 1
            return
        self._next = now + self._seconds
        self.left_out = 0
        logger.warning("%s", text)

    def conclude(self, text: str) -> None:
        """Log ``text`` if warnings were left out."""
        if self.left_out:
            self.left_out = 0
            logger.warning("%s", text)
