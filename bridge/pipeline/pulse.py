"""Waits that end on an answer or a stop, and keep the checkpoint owned."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.clock import Clock
from bridge.errors import Misconfigured, NotPermitted, Retryable

#: The longest wait between two looks at due checkpoints, leases and stops.
PULSE_SECONDS = 0.25


class Keeper(Protocol):
    """Keeps the ownership of a checkpoint."""

    def keep(self) -> None:
        """Renew the ownership when that is due. Raises ``Fenced`` when another owns it."""


class NoKeeper:
    """For work without a checkpoint, as commands do it."""

    def keep(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A wait of the main thread.

    Attributes:
        side: The awaited server, with its address and its setting; never a secret.
        since: When it started, in monotonic seconds.
    """

    side: str
    since: float


class Pulse:
    """The only way in which the parts of a bridge wait.

    Attributes:
        clock: The clocks of the bridge.
        wake: Set by the threads of clients and readers when there is something to collect.
        stop: Set when the bridge is to stop.
        pause: Set while the bridge is to read and send nothing.
        waiting: The side that the main thread waits for; None while it works.
        last_beat: When the main thread last showed that it works, in monotonic seconds.
    """

    def __init__(
        self,
        clock: Clock,
        keeper: Keeper | None = None,
        *,
        wake: threading.Event | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.clock = clock
        self.wake = wake or threading.Event()
        self.stop = stop or threading.Event()
        self.pause = threading.Event()
        self.waiting: Waiting | None = None
        self.last_beat = clock.monotonic()
        self._keeper = keeper or NoKeeper()

    def request_stop(self) -> None:
        """Ask for a stop; returns at once. May be called from any thread."""
        self.stop.set()
        self.wake.set()

    def request_pause(self) -> None:
        """Ask for a pause; returns at once. May be called from any thread."""
        self.pause.set()
        self.wake.set()

    @property
    def halts(self) -> bool:
        """Whether a stop or a pause is requested: nothing more is to be read."""
        return self.stop.is_set() or self.pause.is_set()

    def beat(self) -> None:
        """Note that the main thread works."""
        self.last_beat = self.clock.monotonic()

    def keep_alive(self) -> None:
        """Show that the main thread works and keep the ownership of the checkpoint.

        A store that is unreachable, refuses us or is misconfigured does not end the wait: the lease
        may outlast it. Raises ``Fenced``.
        """
        self.beat()
        with suppress(Retryable, NotPermitted, Misconfigured):
            self._keeper.keep()

    @contextmanager
    def waits_for(self, side: str) -> Iterator[None]:
        """Name the server that the main thread waits for, for the log and the status."""
        before, self.waiting = self.waiting, Waiting(side, self.clock.monotonic())
        try:
            yield
        finally:
            self.waiting = before

    def wait_for_answers(self, seconds: float = PULSE_SECONDS) -> None:
        """Wait until woken; at most ``seconds`` and a pulse. Clear ``wake`` before collecting."""
        self.wake.wait(min(seconds, PULSE_SECONDS))

    def wait_for(self, future: Future[Any]) -> bool:
        """Wait for ``future``, at most a pulse; return whether it is done. Keeps alive if not."""
        if wait([future], PULSE_SECONDS).done:
            return True
        self.keep_alive()
        return False

    def sleep(self, seconds: float, *, until: threading.Event | None = None) -> None:
        """Let ``seconds`` pass, or less when a stop is requested; keeps alive meanwhile.

        ``until`` ends it early when it is set.
        """
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            if until is not None and until.is_set():
                return
            if self.stop.wait(min(left, PULSE_SECONDS)):
                return
            self.keep_alive()
