"""The log never blocks: a pipe that nothing reads, a full disk, the end of the process."""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from bridge import logs
from bridge.demo.servers.process import poll
from bridge.logs import background_handler
from tests.support.command import ROOT

#: Larger than a pipe's buffer.
LONG = "x" * 100_000
PATIENCE_SECONDS = 20.0


class LogPipe:
    """A log whose reader reads only when the test says so."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        self._stream = open(writer, "w")  # noqa: SIM115 - closed in ``close``
        logs.set_up("plain", "info", self._stream)
        self.logger = logging.getLogger("bridge.test")

    def block(self) -> None:
        """Fill the pipe, so that the next write waits."""
        self.logger.warning(LONG)
        poll(lambda: logs.blocked() > 0.05, "a blocked write", PATIENCE_SECONDS)

    def read(self, last: str) -> list[str]:
        """Read until a line ends with ``last``; the lines without their times."""
        text = b""
        while not text.endswith(f" {last}\n".encode()):
            text += os.read(self._reader, 65536)
        return [line.split(maxsplit=2)[2] for line in text.decode().splitlines()]

    def close(self) -> None:
        os.close(self._reader)
        for handler in logging.getLogger().handlers:
            handler.flush()
        self._stream.close()


@pytest.fixture
def pipe() -> Iterator[LogPipe]:
    pipe = LogPipe()
    yield pipe
    pipe.close()


def test_logging_never_waits_for_the_reader(pipe: LogPipe) -> None:
    pipe.block()

    started = time.monotonic()
    pipe.logger.warning("still here")

    assert time.monotonic() - started < 1
    assert logs.dropped() == 0
    assert pipe.read("still here") == [LONG, "still here"]
    logs.flush()
    assert logs.blocked() == 0.0


def test_a_full_queue_drops_oldest_lines(pipe: LogPipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line comes out, after a report of the dropped ones."""
    monkeypatch.setattr(background_handler, "MAX_LINES", 3)
    pipe.block()

    for number in range(10):
        pipe.logger.warning("line %d", number)

    assert logs.dropped() == 7
    first, report, *rest = pipe.read("line 9")
    assert first == LONG
    assert re.fullmatch(
        r"7 log lines were dropped, because the reader of the log read nothing for \d+ s", report
    )
    assert rest == ["line 7", "line 8", "line 9"]


def test_dropped_lines_are_reported_once(pipe: LogPipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_handler, "MAX_LINES", 1)
    pipe.block()
    pipe.logger.warning("first")
    pipe.logger.warning("second")
    pipe.read("second")

    pipe.logger.warning("third")

    assert pipe.read("third") == ["third"]


def test_the_queue_is_bounded_in_bytes(pipe: LogPipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_handler, "MAX_BYTES", 1000)
    pipe.block()

    for _ in range(10):
        pipe.logger.warning("y" * 400)

    assert logs.dropped() == 8


def test_a_flush_is_bounded(pipe: LogPipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_handler, "FLUSH_SECONDS", 0.1)
    pipe.block()

    started = time.monotonic()
    logs.flush()

    assert 0.1 <= time.monotonic() - started < PATIENCE_SECONDS


def test_a_record_is_formatted_before_it_changes(pipe: LogPipe) -> None:
    pipe.block()
    jobs = ["job-1"]
    pipe.logger.warning("jobs %s", jobs)
    jobs.append("job-2")

    assert pipe.read("['job-1']")[-1] == "jobs ['job-1']"


class FullDisk(io.StringIO):
    """Refuses lines while ``full``."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)


def test_a_log_that_fails_counts_its_lines() -> None:
    disk = FullDisk()
    logs.set_up("plain", "info", disk)
    logging.getLogger("bridge").warning("first")
    logs.flush()
    assert logs.dropped() == 1

    disk.full = False
    logging.getLogger("bridge").warning("second")
    logs.flush()

    report, line = disk.getvalue().splitlines()
    assert report.endswith(
        "1 log lines were dropped, because the log cannot be written: "
        "[Errno 28] No space left on device"
    )
    assert line.endswith("second")


def test_a_replaced_log_ends_its_thread() -> None:
    before = threading.active_count()
    for _ in range(5):
        logs.set_up("plain", "info", io.StringIO())

    poll(lambda: threading.active_count() <= before + 1, "the end of the threads", PATIENCE_SECONDS)


#: Logs more than a pipe holds and ends with an error.
FAILING = f"""
import logging
from bridge import logs
logs.set_up("plain", "info")
for _ in range(3):
    logging.getLogger("bridge").warning("{"x" * 60_000}")
logging.getLogger("bridge").error("the last line")
raise SystemExit(75)
"""


def failing_process() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", FAILING], cwd=ROOT, stderr=subprocess.PIPE, env={**os.environ}
    )


def test_a_failed_process_writes_its_last_line() -> None:
    with failing_process() as process:
        _, log = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 75
    assert log.endswith(b"the last line\n")


def test_a_process_ends_with_a_blocked_log() -> None:
    """The exit code is the process's own, and the interpreter does not abort at its end."""
    with failing_process() as process:
        assert process.wait(PATIENCE_SECONDS) == 75
