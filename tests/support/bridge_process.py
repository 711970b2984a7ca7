"""The bridge as an operator runs it: a process with settings in its environment."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bridge.demo.servers.process import ServerError, poll
from tests.support.child_process import ForkedProcess, start_cold, start_warm
from tests.support.command import (
    EndedCommand,
    GivenSettings,
    assert_clean,
    by_name,
    environment,
)
from tests.support.log_lines import LogLine, parse_log
from tests.support.servers.frozen import await_frozen, freeze

#: Deadlines are generous: only a bridge that hangs reaches them.
READY_SECONDS = 120.0
EXIT_SECONDS = 120.0
HTTP_SECONDS = 30.0
LOG_TAIL = 5000
#: The arguments after ``python -m``.
COMMAND = ("bridge", "run")
#: In the line of a start. Before it is logged, a signal to stop kills the process.
STARTED = "status at"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


class BridgeProcess:
    """One bridge, started as often as a test needs; all its lives append to one log file.

    As a context manager it runs from entering to leaving, and its output is checked at the end.
    The kernel kills the process when the thread that started it ends: start it from the main one.
    """

    def __init__(
        self, settings: GivenSettings, log_file: Path, command: Sequence[str] | None = None
    ) -> None:
        self.log_file = log_file
        #: When each life ended, Unix seconds.
        self.deaths: list[float] = []
        self.settings = {
            "http.port": "0",
            "http.details": "on",
            "log.format": "json",
            **settings,
        }
        #: See :meth:`start`.
        self._command = command
        self._process: subprocess.Popen[bytes] | ForkedProcess | None = None
        self._port: int | None = None
        #: Where the log of this life starts.
        self._start = 0

    def __enter__(self) -> BridgeProcess:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if error is None:
            assert_clean(self.output())
        else:
            error.add_note(self.log_tail())

    def start(self, command: Sequence[str] | None = None) -> BridgeProcess:
        """Start it without waiting for it: with its imports done, or as ``python -m command``."""
        assert not self.running, "the bridge runs already"
        self._port, self._start = None, len(self.output())
        given = environment(self.settings)
        if (command := command or self._command) is None:
            self._process = start_warm(("run",), given, self.log_file)
        else:
            self._process = start_cold(command, given, self.log_file)
        return self

    def configure(self, **settings: str) -> None:
        self.settings |= by_name(settings)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._started().pid

    def stop(self, seconds: float = EXIT_SECONDS) -> int:
        """Ask it to stop once it has started, as a supervisor would; return its exit code."""
        poll(lambda: not self.running or STARTED in self.output()[self._start :], STARTED)
        self.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> int:
        """End it as a crash would."""
        self.send_signal(signal.SIGKILL)
        return self.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Without effect if it has ended."""
        self._started().send_signal(number)

    def pause(self) -> None:
        """Freeze the process."""
        freeze(self.pid)

    def await_pause(self) -> None:
        """Wait until the process has frozen itself."""
        await_frozen(self.pid)

    def resume(self) -> None:
        self.send_signal(signal.SIGCONT)

    def wait(self, seconds: float = EXIT_SECONDS) -> int:
        """Wait until it ends; returns the exit code, negative for a signal."""
        try:
            code = self._started().wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"the bridge did not end within {seconds:g} s:\n{self.log_tail()}"
            ) from None
        self.deaths.append(time.time())
        return code

    def wait_for_end(self) -> EndedCommand:
        """Wait until it ends by itself; returns its exit code and the log of this life."""
        code = self.wait()
        assert_clean(self.output())
        return EndedCommand(code, "", self.output()[self._start :])

    def close(self) -> None:
        """Kill it if it still runs."""
        if self.running:
            self.kill()

    def wait_for(
        self, condition: Callable[[], bool], description: str, seconds: float = READY_SECONDS
    ) -> None:
        """Poll ``condition``; fails at once when the bridge has ended."""

        def met() -> bool:
            ended = not self.running
            try:
                if condition():
                    return True
            except OSError:  # it is just stopping
                pass
            code = self._started().returncode
            assert not ended, (
                f"the bridge ended with {code} before {description}:\n{self.log_tail()}"
            )
            return False

        try:
            poll(met, description, seconds)
        except ServerError as error:
            raise AssertionError(
                f"{error}; /readyz answers {self.readiness()}:\n{self.log_tail()}"
            ) from None

    def wait_ready(self, seconds: float = READY_SECONDS) -> BridgeProcess:
        """Wait until ``/readyz`` reports ready."""
        self.wait_for(self.ready, "ready", seconds)
        return self

    def wait_unready(self, reason: str, seconds: float = READY_SECONDS) -> BridgeProcess:
        """Wait until ``/readyz`` refuses with a reason that contains ``reason``."""
        self.unready_reason(reason, seconds)
        return self

    def unready_reason(self, words: str, seconds: float = READY_SECONDS) -> str:
        """Wait until ``/readyz`` refuses with ``words`` in the reason; return the whole reason."""
        answers: list[str] = []

        def refuses() -> bool:
            code, text = self.readiness() or (0, "")
            answers.append(text)
            return code == 503 and words in text

        self.wait_for(refuses, f"not ready for {words!r}", seconds)
        return answers[-1]

    def wait_acked(self, count: int) -> BridgeProcess:
        """Wait until Kafka has acknowledged ``count`` messages, dead letters included."""
        self.wait_for(
            lambda: self.status()["counters"]["acked"] >= count, f"{count} acknowledged messages"
        )
        return self

    def wait_for_line(self, words: str) -> str:
        """Wait for a line of this life's log that contains ``words``, and return it."""
        self.wait_for(
            lambda: any(words in line for line in self.messages()), f"a log line with {words!r}"
        )
        return next(line for line in self.messages() if words in line)

    def ready(self) -> bool:
        answer = self.readiness()
        return answer is not None and answer[0] == 200

    def readiness(self) -> tuple[int, str] | None:
        """The answer of ``/readyz``; None while nothing answers."""
        try:
            return self.get("/readyz")
        except OSError:
            return None

    def get(self, path: str) -> tuple[int, str]:
        """Status code and body of a page; raises ``OSError`` while nothing answers."""
        if self._port is None and (address := ADDRESS.search(self.output()[self._start :])):
            self._port = int(address[1])
        if self._port is None:
            raise ConnectionRefusedError("the bridge does not serve HTTP yet")
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=HTTP_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionResetError(f"{path}: {error!r}") from None
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """``/status.json``."""
        document: dict[str, Any] = json.loads(self.get("/status.json")[1])
        return document

    def metrics(self) -> dict[str, float]:
        """Every sample of ``/metrics`` by its name and labels as text."""
        lines = [line for line in self.get("/metrics")[1].splitlines() if line[:1] not in ("", "#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def metric(self, name: str, **labels: str) -> float:
        """One sample of ``/metrics``: 0 without such labels; fails if the metric is unknown."""
        families = list(text_string_to_metric_families(self.get("/metrics")[1]))
        known = {family.name for family in families}
        assert name.removesuffix("_total") in known, f"no metric {name}"
        samples = [sample for family in families for sample in family.samples]
        return sum(
            sample.value for sample in samples if sample.name == name and sample.labels == labels
        )

    def restarts(self) -> Mapping[str, int]:
        """How often the loop was restarted in this life, by the failed part."""
        restarts: Mapping[str, int] = self.status()["restarts"]
        return restarts

    def resident_bytes(self) -> int:
        """Memory that the process holds."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def lines(self) -> list[LogLine]:
        """Every complete log line of this life."""
        return parse_log(self.output()[self._start :])

    def messages(self) -> list[str]:
        """The texts of :meth:`lines`."""
        return [str(line["message"]) for line in self.lines()]

    def all_lines(self) -> list[LogLine]:
        """Every complete log line of all lives."""
        return parse_log(self.output())

    def has_logged(self, words: str) -> bool:
        """Whether a line of the log, over all lives, contains ``words``."""
        return any(words in line["message"] for line in self.all_lines())

    def output(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_tail(self) -> str:
        return self.output()[-LOG_TAIL:]

    def _started(self) -> subprocess.Popen[bytes] | ForkedProcess:
        assert self._process is not None, "the bridge was not started"
        return self._process
