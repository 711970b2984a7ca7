"""The last warnings and errors of the log, for readers of the status."""

import logging
import re
from typing import Any, NamedTuple

from bridge.errors import one_line
from bridge.logs.fields import fields_text

MAX_LINES = 20
_MAX_TEXT = 1000
_NUMBERS = re.compile(r"\d+(\.\d+)?")


class LogText:
    """The text of a log line, in parts that not every reader may see.

    Args:
        text: The line without values of a single case.
        details: What follows it in the log: an example, or the number of repeats.
        todo: The consequence and the action to take; the log has it at the end, unless ``text``
            contains it.
    """

    def __init__(self, text: str, details: str = "", *, todo: str = "") -> None:
        self.text = text
        self.details = details
        self.todo = todo

    def __str__(self) -> str:
        line = f"{self.text}{self.details}"
        return line if self.todo in self.text else f"{line}. {self.todo}"


class LoggedWarning(NamedTuple):
    """A warning or an error; lines that differ only in numbers count as one.

    Attributes:
        first: When it was logged first, in Unix seconds.
        last: When it was logged last.
        level: ``warning``, ``error`` or ``critical``.
        text: The line without values of a single case.
        details: What follows in the log, and the fields of the line, such as the job.
        todo: The action to take; empty where ``text`` contains it, or where none is needed.
    """

    first: float
    last: float
    level: str
    text: str
    details: str
    todo: str

    def document(self) -> dict[str, Any]:
        """Return it as ``/status.json`` shows it."""
        return self._asdict()


class RecentWarnings(logging.Handler):
    """Keeps the last warnings of the bridge; reading is safe on any thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        #: The warnings by their text without numbers, the latest last.
        self._warnings: dict[str, LoggedWarning] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] != "bridge":
            return
        line = record.msg if isinstance(record.msg, LogText) else LogText(record.getMessage())
        details = line.details + fields_text(record)
        text = one_line(line.text)[:_MAX_TEXT]
        key = _NUMBERS.sub("", text)
        former = self._warnings.pop(key, None)
        self._warnings[key] = LoggedWarning(
            first=former.first if former else record.created,
            last=record.created,
            level=record.levelname.lower(),
            text=text,
            details=one_line(details).lstrip(",:; ")[:_MAX_TEXT],
            todo=line.todo,
        )
        if len(self._warnings) > MAX_LINES:
            del self._warnings[next(iter(self._warnings))]

    def latest(self) -> tuple[LoggedWarning, ...]:
        """Return the warnings, the latest first."""
        self.acquire()
        try:
            return tuple(reversed(self._warnings.values()))
        finally:
            self.release()
