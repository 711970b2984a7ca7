"""Log lines: JSON for machines, plain for people, and repeated failures said seldom."""

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

from bridge.errors import one_line

#: Fields of a line, given as ``extra=``; whatever else a record carries is not printed.
FIELDS = ("job_id", "trans_id", "position", "exit_code", "reason")
#: A failure that goes on is one line each so many seconds.
REPEAT_SECONDS = 30.0


def set_up(form: str, level: str, stream: TextIO = sys.stderr) -> None:
    """Send the log to ``stream``; ``form`` is ``plain``, ``json`` or ``auto`` (plain on a terminal)."""
    handler = logging.StreamHandler(stream)
    plain = form == "plain" or (form == "auto" and stream.isatty())
    handler.setFormatter(_Plain() if plain else _json())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("bridge").setLevel(level.upper())
    # The bridge logs a failure of its drivers itself, once, through ``Repeated``.
    for noisy in ("kafka", "pymongo", "waitress"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


def _json() -> logging.Formatter:
    formatter = JsonFormatter(
        "{levelname}{name}{message}{asctime}",
        style="{",
        rename_fields={"levelname": "level"},
    )
    formatter.converter = time.gmtime
    # Not as ``datefmt``: with one, the milliseconds are left out.
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03d+00:00"
    return formatter


class _Plain(logging.Formatter):
    """``time level message field=value ...``, one line whatever the message holds."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = "".join(f" {name}={value}" for name, value in fields_of(record).items())
        line = one_line(f"{record.getMessage()}{fields}")
        line = f"{stamp}.{int(record.msecs):03d} {record.levelname.lower():7} {line}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def fields_of(record: logging.LogRecord) -> Mapping[str, Any]:
    """Return the fields of :data:`FIELDS` that a line carries."""
    return {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}


class Repeated:
    """Says a failure that goes on once each :data:`REPEAT_SECONDS`, and once when it is over."""

    def __init__(self, logger: logging.Logger, seconds: float = REPEAT_SECONDS) -> None:
        self._logger = logger
        self._seconds = seconds
        self._since = self._said = 0.0
        self._times = 0

    @property
    def times(self) -> int:
        """How often it failed since it was last well."""
        return self._times

    def failed(self, now: float, text: str, lasted: float | None = None) -> None:
        """Note a failure at ``now`` (monotonic seconds); one that is known to have ``lasted`` for so many tells that in its text."""
        self._times += 1
        if self._times == 1:
            self._since = now - (lasted or 0.0)
        if self._times == 1 or now - self._said >= self._seconds:
            self._said = now
            again = (
                f" (for {now - self._since:.0f} s, {self._times} times)"
                if self._times > 1 and lasted is None
                else ""
            )
            self._logger.warning("%s%s", text, again)

    def over(self, now: float, text: str) -> None:
        """Note that it works again; says so only if it had failed."""
        if self._times:
            self._logger.info("%s after %.1f s", text, now - self._since)
        self._times = 0
