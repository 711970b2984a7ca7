"""The latest warning of a Kafka client: its exceptions do not carry the cause."""

import logging
import time

from bridge.settings.hidden import hidden

logger = logging.getLogger(__name__)

_RECENT_SECONDS = 30.0
_MAX_LENGTH = 300


class LatestWarning:
    """Remembers the latest warning of a client; safe to use from several threads.

    Args:
        ignored: Warnings that contain any of these texts are dropped.
        vague: A warning with this text does not replace a recent one.
    """

    def __init__(self, *ignored: str, vague: str = "") -> None:
        self._ignored = ignored
        self._vague = vague
        self._text = ""
        self._noted_at = 0.0

    def note(self, text: str) -> None:
        """Remember ``text`` as a single line, without secrets."""
        line = " ".join(hidden(text).split())[:_MAX_LENGTH]
        if not self._is_ignored(line):
            self._text = line
            self._noted_at = time.monotonic()
        logger.debug("%s", line)

    def _is_ignored(self, line: str) -> bool:
        if any(text in line for text in self._ignored):
            return True
        return bool(self._vague and self._vague in line and self.recent())

    def recent(self, seconds: float = _RECENT_SECONDS) -> str:
        """Return the latest warning if it is at most ``seconds`` old, else an empty string."""
        return self._text if time.monotonic() - self._noted_at <= seconds else ""
