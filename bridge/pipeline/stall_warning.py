"""Warns while Kafka acknowledges nothing, and ends a session whose client may be stuck."""

import logging
import math
from typing import Protocol

from bridge.clock import Clock
from bridge.errors import Stalled
from bridge.logs import Repeated
from bridge.model.policy import stalled
from bridge.model.window import Window

logger = logging.getLogger("bridge")

#: A message in flight for this long ends the session: a new client looks for the brokers again.
REPLACE_SECONDS = 60.0
#: The same with refused credentials or certificates: a new client reads the files again.
REFUSED_SECONDS = 15.0
#: The consequence for the messages in flight, in modes that lose nothing.
SENT_AGAIN = "Nothing is lost: unacknowledged messages are sent again, in order"


class Complainer(Protocol):
    """A Kafka client that remembers its latest trouble."""

    def complaint(self) -> str:
        """Return the client's latest warning; empty when there was no recent warning."""

    def refused(self) -> bool:
        """Return whether the latest warning is about credentials or certificates."""


class StallWarning:
    """Each bridge has its own: a stall may outlast a session.

    Args:
        consequence: The second sentence of the warning: the meaning of the stall in this mode.
        replace_seconds: After this long without an acknowledgement the client is to be replaced;
            infinite for work that cannot replace it.
        replaced: The consequence of the replacement for the messages in flight.
    """

    def __init__(
        self,
        clock: Clock,
        consequence: str,
        *,
        replace_seconds: float = math.inf,
        replaced: str = SENT_AGAIN,
    ) -> None:
        self._clock = clock
        self._consequence = consequence
        self._replace_seconds = replace_seconds
        self._replaced = replaced
        self._warning = Repeated(logger)
        #: The window in which the present stall was last seen; None without a stall.
        self._stalled: Window | None = None

    def look(self, in_flight: Window, client: Complainer) -> None:
        """Log that Kafka acknowledges nothing, once in a while, and that it does again.

        Raises:
            Stalled: The client is to be replaced.
        """
        now = self._clock.monotonic()
        age = in_flight.oldest_age(now)
        if trouble := stalled(age, client.complaint):
            self._stalled = in_flight
            self._warning.failed(now, f"{trouble}. {self._consequence}", age)
        elif self._stalled is in_flight or in_flight.delivered is not None:
            # The window of a new session shows nothing before its first acknowledgement.
            self._stalled = None
            self._warning.over(now, "Kafka is acknowledging messages again")
        if age is not None and self._replaces(age, client):
            raise Stalled(
                trouble or f"Kafka refuses this client ({client.complaint()})",
                self._replaced,
                "A new producer connects, starting from kafka.bootstrap_servers",
                part="kafka",
            )

    def _replaces(self, age: float, client: Complainer) -> bool:
        if age >= self._replace_seconds:
            return True
        may_replace = self._replace_seconds < math.inf
        return may_replace and age >= REFUSED_SECONDS and client.refused()
