"""Decides which failures end a bridge, and how long it waits before the next session."""

import logging

from bridge.clock import Clock
from bridge.errors import BridgeError, NotPermitted
from bridge.logs import Repeated
from bridge.model.policy import Backoff

logger = logging.getLogger("bridge")

#: How long to wait for withdrawn permissions to return, for example during a password rotation.
PERMISSION_PATIENCE_SECONDS = 600.0
#: A session that stayed ready this long counts as healthy and resets the back-off.
HEALTHY_SECONDS = 5.0


class Retry:
    """Remembers the failures of a bridge since it was last healthy."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._backoff = Backoff()
        self._trouble = Repeated(logger)
        self._has_worked = False
        self._failed_sessions = 0
        #: When the present session became ready; None while it has not.
        self._ready_since: float | None = None
        #: When permissions were first refused since the bridge was last healthy; None when not.
        self._refused_since: float | None = None

    def session_started(self) -> None:
        """Note that a session is being opened."""
        self._ready_since = None

    def session_ready(self) -> None:
        """Note that stream and producer are open."""
        now = self._clock.monotonic()
        self._trouble.over(now, "working again")
        self._has_worked = True
        self._ready_since = now

    def failed(self, error: BridgeError) -> None:
        """Log a failure that is waited out.

        Raises:
            NotPermitted: ``error`` itself: nothing has worked yet, or the patience is exhausted.
        """
        now = self._clock.monotonic()
        if self._is_healthy():
            self._refused_since = None
        if isinstance(error, NotPermitted):
            self._refused_since = self._refused_since or now
            if not self._has_worked or now - self._refused_since > PERMISSION_PATIENCE_SECONDS:
                raise error
        self._trouble.failed(now, str(error))

    def pause_seconds(self) -> float:
        """Return how long to wait before the next session."""
        self._failed_sessions = 1 if self._is_healthy() else self._failed_sessions + 1
        return self._backoff.wait(self._failed_sessions)

    def _is_healthy(self) -> bool:
        since = self._ready_since
        return since is not None and self._clock.monotonic() - since > HEALTHY_SECONDS
