"""Warns while Kafka acknowledges nothing, and reports the end of it."""

import logging
from typing import Protocol

from bridge.clock import Clock
from bridge.logs import Repeated
from bridge.model.policy import stalled
from bridge.model.window import Window

logger = logging.getLogger("bridge")


class Complainer(Protocol):
    """A Kafka client that remembers its latest trouble."""

    def complaint(self) -> str:
        """Return the client's latest warning; empty when there was no recent warning."""


class StallWarning:
    """Each bridge has its own: a stall may outlast a session.

    ``consequence`` is the second sentence of the warning: the meaning of the stall in this mode.
    """

    def __init__(self, clock: Clock, consequence: str) -> None:
        self._clock = clock
        self._consequence = consequence
        self._warning = Repeated(logger)

    def look(self, in_flight: Window, client: Complainer) -> None:
        """Log that Kafka acknowledges nothing, once in a while, and that it does again."""
        now = self._clock.monotonic()
        age = in_flight.oldest_age(now)
        if trouble := stalled(age, client.complaint):
            self._warning.failed(now, f"{trouble}. {self._consequence}", age)
        else:
            self._warning.over(now, "Kafka is acknowledging messages again")
