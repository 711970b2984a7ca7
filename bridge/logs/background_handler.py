"""The handler of the log: it writes on a thread of its own, and no other thread waits for it."""

import logging
import os
import select
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TextIO

#: Limits of the queue; beyond them the oldest lines are dropped.
MAX_LINES = 10_000
MAX_BYTES = 8_000_000
#: How long the end of the process waits for the reader of the log.
FLUSH_SECONDS = 2.0
_POLL_MS = 1000


class BackgroundHandler(logging.Handler):
    """Formats a line at once, and writes it on a thread of its own.

    A log whose reader has stopped, such as a full pipe, blocks only that thread. The queue is
    bounded. The oldest lines are dropped first, so that the last line of the process is written
    whenever the reader reads; a line reports how many were dropped.

    Attributes:
        dropped: Lines that were not written, since the start.
    """

    def __init__(self, stream: TextIO, formatter: logging.Formatter) -> None:
        super().__init__()
        self.dropped = 0
        self.setFormatter(formatter)
        self._output = _Output(stream)
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        #: Dropped lines that no line has reported yet, and the reason.
        self._unreported = 0
        self._reason = ""
        #: When the present write started, in monotonic seconds; None while nothing is written.
        self._writing_since: float | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def blocked_seconds(self) -> float:
        """For how long the present write has lasted; 0.0 while nothing is written."""
        since = self._writing_since
        return 0.0 if since is None else time.monotonic() - since

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._output.encoded(self.format(record))
        except Exception:  # noqa: BLE001 - as every handler of the standard library does
            self.handleError(record)
            return
        with self._changed:
            self._lines.append(line)
            self._bytes += len(line)
            while len(self._lines) > 1 and self._is_full():
                self._bytes -= len(self._lines.popleft())
                self._drop(f"the reader of the log read nothing for {self.blocked_seconds:.0f} s")
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until every line is written, but at most :data:`FLUSH_SECONDS`."""
        with self._changed:
            self._changed.wait_for(self._is_idle, FLUSH_SECONDS)

    def close(self) -> None:
        """End the thread, after the lines that it can write."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        super().close()

    def _is_full(self) -> bool:
        return len(self._lines) > MAX_LINES or self._bytes > MAX_BYTES

    def _is_idle(self) -> bool:
        return not self._lines and self._writing_since is None

    def _drop(self, reason: str) -> None:
        self.dropped += 1
        self._unreported += 1
        self._reason = reason

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._closing)
                if not self._lines:
                    return
                reported = self._unreported
                # The report belongs before the lines that are still in the queue.
                text = self._report() + self._take() if reported else self._take()
                self._writing_since = time.monotonic()
            failure = self._write(text)
            with self._changed:
                self._writing_since = None
                if failure:
                    self._drop(f"the log cannot be written: {failure}")
                else:
                    self._unreported -= reported
                self._changed.notify_all()

    def _take(self) -> bytes:
        line = self._lines.popleft()
        self._bytes -= len(line)
        return line

    def _report(self) -> bytes:
        text = f"{self._unreported} log lines were dropped, because {self._reason}"
        record = logging.LogRecord("bridge", logging.WARNING, "", 0, text, None, None)
        return self._output.encoded(self.format(record))

    def _write(self, text: bytes) -> str:
        """Write lines; return why that failed, or an empty text."""
        try:
            self._output.write(text)
        except (OSError, ValueError) as error:  # ValueError: the stream was closed.
            return str(error)
        return ""


class _Output:
    """Writes past the buffer of a stream.

    The interpreter flushes that buffer at its end, and aborts while another thread holds it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor: int | None = None
        with suppress(OSError, AttributeError):  # A stream in memory has no descriptor.
            self._descriptor = stream.fileno()

    def encoded(self, line: str) -> bytes:
        """Return the bytes of a line."""
        return f"{line}\n".encode(self._stream.encoding or "utf-8", "backslashreplace")

    def write(self, line: bytes) -> None:
        """Write a line; waits for the reader. Raises ``OSError``."""
        if self._descriptor is None:
            self._stream.write(line.decode(self._stream.encoding or "utf-8"))
            self._stream.flush()
            return
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:  # Another process has set the shared pipe to non-blocking.
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll(_POLL_MS)
