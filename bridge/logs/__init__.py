"""Log lines: JSON for machines, plain text for people, and few lines for repeated failures."""

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

from bridge import __version__
from bridge.errors import one_line
from bridge.logs.background_handler import BackgroundHandler
from bridge.logs.fields import fields_text
from bridge.logs.recent_warnings import LoggedWarning, LogText, RecentWarnings

#: A failure that continues is logged once per this many seconds.
REPEAT_SECONDS = 30.0


def set_up(log_format: str, level: str, stream: TextIO = sys.stderr, *, bridge: str = "") -> None:
    """Send the log to ``stream``, on a thread of its own; a process has one log.

    Args:
        log_format: ``plain``, ``json`` or ``auto`` (plain on a terminal).
        level: The lowest level of the bridge's own log lines.
        stream: Where the lines are written.
        bridge: The name of the bridge, for its JSON lines among those of others.
    """
    plain = log_format == "plain" or (log_format == "auto" and stream.isatty())
    for previous in _handlers():
        previous.flush()
        previous.close()
    root = logging.getLogger()
    written = BackgroundHandler(stream, _Plain() if plain else _json(bridge))
    root.handlers[:] = [written, RecentWarnings()]
    root.setLevel(logging.WARNING)
    logging.getLogger("bridge").setLevel(level.upper())
    # The bridge logs a failure of its drivers itself, once, through ``Repeated``.
    for noisy in ("kafka", "pymongo", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


def dropped() -> int:
    """Return how many lines of the log were dropped, because nothing read them."""
    return sum(handler.dropped for handler in _handlers())


def blocked() -> float:
    """Return for how many seconds the log has been stuck in a write; 0.0 while it is not."""
    return max((handler.blocked_seconds for handler in _handlers()), default=0.0)


def recent_warnings() -> tuple[LoggedWarning, ...]:
    """Return the last warnings and errors of the bridge, the latest first."""
    handlers = logging.getLogger().handlers
    return next((kept.latest() for kept in handlers if isinstance(kept, RecentWarnings)), ())


def flush() -> None:
    """Wait until the log is written, for a bounded short time."""
    for handler in _handlers():
        handler.flush()


def _handlers() -> list[BackgroundHandler]:
    root = logging.getLogger()
    return [handler for handler in root.handlers if isinstance(handler, BackgroundHandler)]


def _json(bridge: str) -> logging.Formatter:
    formatter = JsonFormatter(
        "{asctime}{levelname}{name}{message}",
        style="{",
        rename_fields={"asctime": "time", "levelname": "level"},
        static_fields={"bridge": bridge, "version": __version__} if bridge else None,
    )
    formatter.converter = time.gmtime
    # Not as ``datefmt``, because with that the milliseconds are left out.
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03d+00:00"
    return formatter


class _Plain(logging.Formatter):
    """Formats ``time level message field=value ...``, always as a single line."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = one_line(f"{record.getMessage()}{fields_text(record)}")
        line = f"{stamp}.{int(record.msecs):03d}Z {record.levelname.lower():7} {line}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


class Repeated:
    """Logs a failure that continues once per ``seconds``, and its end once."""

    def __init__(self, logger: logging.Logger, seconds: float = REPEAT_SECONDS) -> None:
        self._logger = logger
        self._seconds = seconds
        self._since = 0.0
        self._logged_at = 0.0
        self._times = 0

    @property
    def times(self) -> int:
        """The number of failures since the last success."""
        return self._times

    def failed(self, now: float, text: str, lasted: float | None = None, *, todo: str = "") -> None:
        """Note a failure, and log it if it is due.

        Args:
            now: Monotonic seconds.
            text: The log line.
            lasted: How long the failure has lasted, in seconds, if ``text`` contains that.
            todo: The action to take, which ``text`` contains too.
        """
        self._times += 1
        if self._times == 1:
            self._since = now - (lasted or 0.0)
        if self._times == 1 or now - self._logged_at >= self._seconds:
            self._logged_at = now
            repeats = (
                f" (for {now - self._since:.0f} s, {self._times} times)"
                if self._times > 1 and lasted is None
                else ""
            )
            self._logger.warning(LogText(text, repeats, todo=todo))

    def over(self, now: float, text: str) -> None:
        """Note a success; log it only if there was a failure."""
        if self._times:
            self._logger.info("%s after %.1f s", text, now - self._since)
        self._times = 0


class _Note:
    """The cases of a log line in a batch: the first example, and how many follow."""

    def __init__(self, example: str, fields: Mapping[str, Any]) -> None:
        self.example = example
        self.fields = fields
        self.more = 0


class BatchNotes:
    """Collects warnings during a batch and logs each text once, with the number of its cases.

    A mass of deletes or dead letters is then a line a batch. For a single thread.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._notes: dict[str, _Note] = {}

    def add(self, text: str, example: str = "", **fields: Any) -> None:
        """Note a case.

        Args:
            text: The log line, the same for all cases of a kind.
            example: What is specific to the case; the line contains that of the first case.
            fields: Fields of the record (see ``bridge.logs.fields``); those of the first case are
                kept, without the empty ones.
        """
        note = self._notes.get(text)
        if note is None:
            given = {name: value for name, value in fields.items() if value != ""}
            self._notes[text] = _Note(example, given)
        else:
            note.more += 1

    def log(self) -> None:
        """Log what was noted and forget it."""
        if not self._notes:
            return
        notes = self._notes
        self._notes = {}
        for text, note in notes.items():
            example = f"; {note.example}" if note.example else ""
            more = f" ({note.more} more in the same batch)" if note.more else ""
            self._logger.warning(LogText(text, f"{example}{more}"), extra=dict(note.fields))
