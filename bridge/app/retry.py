"""Decides which failures end a bridge, and how long it waits before the next session."""

import logging

from bridge.clock import Clock
from bridge.errors import BridgeError, Misconfigured, NotPermitted, Unreachable
from bridge.logs import Repeated
from bridge.model.policy import Backoff

logger = logging.getLogger("bridge")

#: How long to wait for withdrawn permissions to return, for example during a password rotation.
PERMISSION_PATIENCE_SECONDS = 600.0
#: A session that stayed ready this long counts as healthy and resets the back-off.
HEALTHY_SECONDS = 5.0
#: The longest pause after an attempt that itself waited for a server.
_UNREACHABLE_SECONDS = 2.0


class Retry:
    """Remembers the failures of a bridge since it was last healthy."""

    def __init__(self, clock: Clock, backoff: Backoff | None = None) -> None:
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._trouble = Repeated(logger)
        self._has_worked = False
        self._failed_sessions = 0
        #: Whether the last session ended because no server answered.
        self._unreachable = False
        #: When the present session became ready; None while it has not.
        self._ready_since: float | None = None
        #: When permissions were first refused since the bridge was last healthy; None when not.
        self._refused_since: float | None = None
        #: When the first failure since the bridge was last healthy occurred; None without one.
        self._failing_since: float | None = None

    def session_started(self) -> None:
        """Note that a session is being opened."""
        self._ready_since = None
        self._unreachable = False

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
            Misconfigured: ``error`` itself: nothing has worked yet.
        """
        now = self._clock.monotonic()
        if self._is_healthy():
            self._refused_since = None
            self._failing_since = None
        self._failing_since = now if self._failing_since is None else self._failing_since
        self._unreachable = isinstance(error, Unreachable)
        text = str(error)
        if isinstance(error, Misconfigured):
            if not self._has_worked:
                raise error
            text += ". The bridge worked before, so it waits, although at a start it would end"
        if isinstance(error, NotPermitted):
            self._refused_since = self._refused_since or now
            if not self._has_worked or now - self._refused_since > PERMISSION_PATIENCE_SECONDS:
                raise error
        self._trouble.failed(now, text, todo=error.todo)

    def paused(self) -> None:
        """Forget since when it failed: nothing was tried during a pause."""
        self._refused_since = None
        self._failing_since = None

    def failing_seconds(self) -> float:
        """Return how long ago the first failure since the bridge was last healthy occurred."""
        since = self._failing_since
        return 0.0 if since is None else self._clock.monotonic() - since

    def pause_seconds(self) -> float:
        """Return how long to wait before the next session."""
        self._failed_sessions = 1 if self._is_healthy() else self._failed_sessions + 1
        pause = self._backoff.wait(self._failed_sessions)
        return min(pause, _UNREACHABLE_SECONDS) if self._unreachable else pause

    def _is_healthy(self) -> bool:
        since = self._ready_since
        return since is not None and self._clock.monotonic() - since > HEALTHY_SECONDS
