"""Ends a bridge once everything up to its start is delivered, for ``run --until now``."""

import logging

from bridge.errors import Fenced
from bridge.model.position import Position
from bridge.pipeline.pulse import Pulse

logger = logging.getLogger("bridge")


class UntilNow:
    """Requests a clean stop when the settled position is past the cluster time of the start.

    The position of an idle stream gets there too: an idle primary writes a no-op every 10 seconds
    (``periodicNoopIntervalSecs``), and the post-batch resume token follows it.
    """

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        #: The position after all writes up to the start; None before the first session.
        self._end: Position | None = None

    def session_started(self, newest: Position) -> None:
        """Note the position after all writes so far, in the first session only."""
        if self._end is None:
            self._end = newest
            logger.info("delivers everything up to %s, then ends", newest.cluster_time.isoformat())

    def look(self, settled: Position) -> None:
        """Request the stop when ``settled`` is at the end or after it."""
        if self._end is not None and settled >= self._end and not self._pulse.stop.is_set():
            logger.info("the position reached %s: ending", self._end.cluster_time.isoformat())
            self._pulse.request_stop()

    def refuse_standby(self, owner: str) -> None:
        """Raise ``Fenced``: the owner delivers, and may never end."""
        raise Fenced(
            f"{owner[:1].upper()}{owner[1:]}",
            "Nothing was read or sent: the owner delivers the transitions",
            "Without --until this process would wait as a standby",
        )
