"""Pauses a bridge: it reads and sends nothing, and stays the owner of its checkpoint."""

import logging
from contextlib import suppress

from bridge.app.lifecycle import Lifecycle, State
from bridge.app.ownership import Ownership
from bridge.clock import iso
from bridge.errors import Misconfigured, NotPermitted, Retryable
from bridge.logs.recent_warnings import LogText
from bridge.pipeline.pulse import PULSE_SECONDS, Pulse

logger = logging.getLogger("bridge")

#: How often a long pause is logged.
REMINDER_SECONDS = 600.0


class Pause:
    """Lasts from SIGUSR1 to SIGUSR2; between them no session is open.

    ``start`` and ``end`` return at once, and may be called from any thread.

    Attributes:
        since: When it was requested, in Unix seconds; None without a pause.
    """

    def __init__(self, pulse: Pulse, lifecycle: Lifecycle, ownership: Ownership) -> None:
        self.since: float | None = None
        self._pulse = pulse
        self._lifecycle = lifecycle
        self._ownership = ownership

    def start(self) -> None:
        """Ask for a pause: the session settles its messages in flight and ends."""
        if self.since is None:
            self.since = self._pulse.clock.now()
            logger.info("a pause was requested: reading stops, messages in flight are settled")
            self._pulse.request_pause()

    def end(self) -> None:
        """Ask for the next session."""
        self.since = None
        self._pulse.pause.clear()

    def wait(self) -> bool:
        """Keep the checkpoint owned while the pause lasts; for the main thread, between sessions.

        Returns:
            Whether there was a pause, which a stop may have ended.
        """
        pulse = self._pulse
        if pulse.stop.is_set():
            return False
        # A pause that was short has ended the session, and is over.
        if not pulse.pause.is_set() and self._lifecycle.state is not State.DRAINING:
            return False
        self._store_position()
        started = pulse.clock.monotonic()
        since = iso(self.since or pulse.clock.now())
        self._lifecycle.enter(State.PAUSED, f"paused since {since}: SIGUSR2 resumes")
        self._report()
        self._wait(started)
        if not pulse.stop.is_set():
            logger.info("resuming after a pause of %.0f s", pulse.clock.monotonic() - started)
            self._lifecycle.enter(State.STARTING, "starting")
        return True

    def _wait(self, started: float) -> None:
        pulse = self._pulse
        reminder = started + REMINDER_SECONDS
        while pulse.pause.is_set() and not pulse.stop.is_set():
            pulse.sleep(PULSE_SECONDS)
            if (now := pulse.clock.monotonic()) >= reminder:
                reminder = now + REMINDER_SECONDS
                self._warn(
                    f"paused for {(now - started) / 60:.0f} min",
                    "SIGUSR2 resumes it. If the oplog does not reach back to the position by then, "
                    "the gap is recovered from the jobs' history",
                )

    def _store_position(self) -> None:
        """Store the settled position; where that fails it stays in memory, for the resume."""
        progress = self._ownership.progress
        if progress is not None:
            with suppress(Retryable, NotPermitted, Misconfigured):
                progress.save()

    def _report(self) -> None:
        progress = self._ownership.progress
        if progress is not None and progress.unacknowledged:
            self._warn(
                f"paused with {progress.unacknowledged} messages that Kafka did not acknowledge",
                "Nothing is lost: those that the topic does not have are sent again after SIGUSR2",
            )
            return
        self._warn(
            "paused", "Nothing is read or sent, the checkpoint stays owned; SIGUSR2 resumes it"
        )

    def _warn(self, state: str, todo: str) -> None:
        """Log a state, and what it means and what ends it."""
        progress = self._ownership.progress
        fields = {"position": str(progress.position)} if progress else {}
        logger.warning(LogText(state, todo=todo), extra=fields)
