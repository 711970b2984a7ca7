"""Asks a server again and again, on a thread of its own."""

import logging
import threading
from typing import Protocol

from bridge.clock import Clock
from bridge.errors import BridgeError, NotPermitted
from bridge.logs import Repeated
from bridge.model.health import Answers
from bridge.model.window import Window

logger = logging.getLogger("bridge")

#: Pauses between two questions: while all is well, and while the end of a failure is awaited.
WELL_SECONDS = 5.0
FAILED_SECONDS = 0.5
#: How long an end waits for a question under way; after that its thread ends with the process.
_CLOSE_SECONDS = 1.0


class Check(Protocol):
    """A question to a server."""

    def ask(self) -> None:
        """Ask, within a few seconds. Raises the bridge's errors."""

    def reason(self, now: float) -> str:
        """Return why the bridge is not ready although the server answers; empty if it may be."""

    def close(self) -> None:
        """Close the connection, if there is one."""


class Probed(Protocol):
    """A bridge, as a probe knows it."""

    @property
    def looping(self) -> bool:
        """Whether a session works; a session that failed has logged its cause."""

    @property
    def in_flight(self) -> Window | None:
        """The messages in flight; a session logs that Kafka does not acknowledge them."""

    def retry_now(self) -> None:
        """End the pause before the next session."""


class Probe:
    """Asks a server and keeps how it answered.

    Args:
        server: The name of the server, for the reason.
        check: The question.
        clock: The clocks of the bridge.
        bridge: Retries at once when the server answers after a failure.
        logs_silence: Whether to log that the server does not answer while nothing is in flight. A
            session of an idle bridge notices that MongoDB does not, and never that Kafka does not.
    """

    def __init__(
        self, server: str, check: Check, clock: Clock, *, bridge: Probed, logs_silence: bool
    ) -> None:
        self.answers = Answers(server, clock.monotonic())
        self._check = check
        self._clock = clock
        self._bridge = bridge
        self._logs_silence = logs_silence
        self._trouble = Repeated(logger)
        self._stop = threading.Event()
        name = f"{server.lower()}-probe"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask nothing more; returns while a question is under way. :meth:`join` waits for it."""
        self._stop.set()

    def join(self) -> None:
        """Wait for the thread, at most a second."""
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_SECONDS)

    def reasons(self) -> list[str]:
        """Return why the bridge is not ready."""
        now = self._clock.monotonic()
        return [reason for reason in (self.answers.reason(now), self._check.reason(now)) if reason]

    @property
    def up(self) -> bool | None:
        """Whether the server works; None while that is not known."""
        return self.answers.up(self._clock.monotonic())

    def ask(self) -> float:
        """Ask once; return the pause before the next question, in seconds."""
        try:
            self._check.ask()
        except BridgeError as error:
            self._failed(error, lasting=isinstance(error, NotPermitted))
        except Exception as error:  # the thread must not die unnoticed
            if not self._stop.is_set():
                logger.exception("the probe of %s failed", self.answers.server)
            self._failed(error, lasting=False)
        else:
            failed = bool(self.answers.failure)
            self.answers = self.answers.answered(self._clock.monotonic())
            if failed:
                self._bridge.retry_now()
        self._log()
        return FAILED_SECONDS if self.answers.failure or self.reasons() else WELL_SECONDS

    def _failed(self, error: Exception, *, lasting: bool) -> None:
        self.answers = self.answers.failed(str(error), lasting=lasting)

    def _log(self) -> None:
        now = self._clock.monotonic()
        problem = self._check.reason(now)
        silence = self.answers.reason(now) if self._logs_silence else ""
        if not (silence or problem):
            self._trouble.over(now, f"{self.answers.server} works again")
        elif self._bridge.looping and (problem or not self._has_messages_in_flight()):
            self._trouble.failed(now, f"not ready: {silence or problem}")

    def _has_messages_in_flight(self) -> bool:
        in_flight = self._bridge.in_flight
        return in_flight is not None and in_flight.count > 0

    def _run(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            pause = self.ask()
        self._check.close()
