"""Reports the waits of the start and the stop of a bridge, and ends a stop that takes too long."""

import logging
import os
import threading
from types import TracebackType
from typing import Protocol, Self

from bridge import logs
from bridge.app.background import CLOSE_SECONDS
from bridge.app.lifecycle import State
from bridge.clock import Clock
from bridge.errors import Retryable
from bridge.hints import exit_fields
from bridge.model.window import Window
from bridge.pipeline.pulse import Waiting

logger = logging.getLogger("bridge")

#: A wait of the start that lasts this long is reported.
START_SECONDS = 2.0
#: A stop reports its wait this often.
STOP_SECONDS = 3.0
#: How long a stop may take after the messages in flight: to store the position, and to close the
#: clients of Kafka, the checkpoint and MongoDB. With the flush of the log it is 20 seconds.
CLOSING_SECONDS = 3 * CLOSE_SECONDS + 3.0
_LOOK_SECONDS = 0.25


class Watched(Protocol):
    """A bridge as the reporter reads it, on a thread of its own."""

    @property
    def state(self) -> State: ...

    @property
    def stops(self) -> bool: ...

    @property
    def waiting(self) -> Waiting | None: ...

    @property
    def in_flight(self) -> Window | None: ...


class WaitReporter:
    """Looks at a bridge from entering to leaving, on a thread of its own.

    A stop that has not ended after ``drain_seconds`` and :data:`CLOSING_SECONDS` ends the process
    as a crash would: a disk or a server that hangs keeps no thread from that.
    """

    def __init__(self, bridge: Watched, clock: Clock, drain_seconds: float) -> None:
        self._bridge = bridge
        self._clock = clock
        self._stop_seconds = drain_seconds + CLOSING_SECONDS
        self._reported: Waiting | None = None
        self._reported_at = 0.0
        #: When the stop has to end, in monotonic seconds; None before the stop.
        self._deadline: float | None = None
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="waits", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()

    def look(self) -> None:
        """Log the report that is due, or end a stop at its deadline."""
        now = self._clock.monotonic()
        if not self._bridge.stops:
            self._look_at_start(now)
        elif self._deadline is None:
            self._deadline = now + self._stop_seconds
            self._reported_at = now
        elif now >= self._deadline:
            self._give_up()
        elif now - self._reported_at >= STOP_SECONDS:
            self._reported_at = now
            logger.info(
                "stopping: waits for %s, at most %.0f s more",
                self._stop_side(),
                self._deadline - now,
            )

    def _run(self) -> None:
        while not self._left.wait(_LOOK_SECONDS):
            self.look()

    def _look_at_start(self, now: float) -> None:
        waiting = self._bridge.waiting
        if (
            waiting is not None
            and waiting is not self._reported
            and self._bridge.state is State.STARTING
            and now - waiting.since >= START_SECONDS - _LOOK_SECONDS
        ):
            self._reported = waiting
            logger.info("starting: waiting for %s", waiting.side)

    def _unacknowledged(self) -> int:
        in_flight = self._bridge.in_flight
        return in_flight.count if in_flight else 0

    def _stop_side(self) -> str:
        count = self._unacknowledged()
        if count and self._bridge.state is State.DRAINING:
            return f"Kafka to acknowledge {count} messages"
        waiting = self._bridge.waiting
        return waiting.side if waiting else "its clients to close"

    def _give_up(self) -> None:
        code = Retryable.exit_code
        logger.error(
            "stopped: not complete after %.0f s, still waiting for %s; %d messages unacknowledged, "
            "position not stored. Nothing is lost: the next start resumes from the last checkpoint",
            self._stop_seconds,
            self._stop_side(),
            self._unacknowledged(),
            extra=exit_fields(code),
        )
        logs.flush()
        os._exit(code)
