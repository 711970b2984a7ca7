"""The bridge as an operator runs it: a process with settings in its environment, watched from outside."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bridge.demo.servers.process import LAUNCH, ServerError, free_port, freeze, poll

ROOT = Path(__file__).parents[2]
READY_SECONDS = 60.0
EXIT_SECONDS = 60.0
HTTP_SECONDS = 10.0
LOG_TAIL = 4000
#: What an operator types after ``python -m``.
COMMAND = ("bridge", "run")


class BridgeProcess:
    """One bridge, started as often as the test likes; its log is one file over all its lives.

    The kernel kills the process when the thread that started it ends: start it from the main one.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        self.log_file = folder / f"bridge-{self.port}.log"
        #: When each life ended, Unix seconds.
        self.deaths: list[float] = []
        self._settings = dict(settings)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str] = COMMAND) -> BridgeProcess:
        """Start ``python -m command`` and do not wait for it."""
        assert self._process is None, "the bridge runs already"
        bound = [sys.executable, "-I", "-S", "-c", LAUNCH, str(os.getpid())]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*bound, sys.executable, "-m", *command],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def configure(self, **settings: str) -> None:
        """Change settings for the next start, as ``SECTION_NAME="value"``."""
        self._settings |= settings

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the bridge does not run"
        return self._process.pid

    def wait_ready(self, seconds: float = READY_SECONDS) -> BridgeProcess:
        """Wait until ``/readyz`` says so; fails at once when the process ends instead."""
        return self.wait_until(200, seconds=seconds)

    def wait_unready(self, reason: str, seconds: float = READY_SECONDS) -> BridgeProcess:
        """Wait until ``/readyz`` refuses with ``reason`` among its words."""
        return self.wait_until(503, reason, seconds)

    def wait_until(
        self, code: int, words: str = "", seconds: float = READY_SECONDS
    ) -> BridgeProcess:
        """Wait until ``/readyz`` answers with ``code`` and ``words``."""

        def so() -> bool:
            assert self.running, f"the bridge ended with {self._code()}:\n{self.log_tail()}"
            answer = self.readiness()
            return answer is not None and answer[0] == code and words in answer[1]

        try:
            poll(so, "readiness", seconds)
        except ServerError as error:
            raise AssertionError(
                f"/readyz did not say {code} {words!r} but {self.readiness()}, {error}:\n{self.log_tail()}"
            ) from None
        return self

    def kill(self) -> int:
        """End it as a crash would."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def terminate(self, seconds: float = EXIT_SECONDS) -> int:
        """Ask it to stop, as a supervisor would; returns the exit code."""
        self.ask_to_stop()
        return self.wait(seconds)

    def ask_to_stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def pause(self) -> None:
        freeze(self.pid)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wait(self, seconds: float = EXIT_SECONDS) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        assert self._process is not None, "the bridge does not run"
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"the bridge did not end within {seconds:g} s:\n{self.log_tail()}"
            ) from None
        self.deaths.append(time.time())
        self._process = None
        return code

    def close(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def readiness(self) -> tuple[int, str] | None:
        """What ``/readyz`` answers; None when nobody does."""
        return self._get("/readyz")

    def status(self) -> Mapping[str, Any]:
        """``/status.json``."""
        answer = self._get("/status.json")
        assert answer is not None, f"no status:\n{self.log_tail()}"
        found: Mapping[str, Any] = json.loads(answer[1])
        return found

    def metric(self, name: str, **labels: str) -> float:
        """One sample of ``/metrics``; 0 where its family has none of these labels. Fails where there is no such name at all."""
        answer = self._get("/metrics")
        assert answer is not None, f"no metrics:\n{self.log_tail()}"
        families = list(text_string_to_metric_families(answer[1]))
        assert any(name.removesuffix("_total") == family.name for family in families), (
            f"no metric {name}"
        )
        found = [
            one.value
            for family in families
            for one in family.samples
            if one.name == name and one.labels == labels
        ]
        return sum(found)

    def restarts(self) -> Mapping[str, int]:
        """How often the loop began again in this life, by what failed."""
        found: Mapping[str, int] = self.status()["restarts"]
        return found

    def resident_bytes(self) -> int:
        """Memory the process holds."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def log(self) -> list[Mapping[str, Any]]:
        """Every line of the log, over all lives; what is no JSON becomes a line without a level."""
        return [_parsed(line) for line in self.log_file.read_text(errors="replace").splitlines()]

    def said(self, words: str) -> bool:
        """Whether a line of the log has ``words``."""
        return any(words in line["message"] for line in self.log())

    def log_tail(self) -> str:
        return self.log_file.read_text(errors="replace")[-LOG_TAIL:]

    def _code(self) -> int | None:
        return None if self._process is None else self._process.returncode

    def _environment(self) -> dict[str, str]:
        """The environment of these tests without any setting, and the settings."""
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith("JOB_BRIDGE_")
        }
        settings = {"HTTP_PORT": str(self.port), "LOG_FORMAT": "json"} | self._settings
        return clean | {f"JOB_BRIDGE_{name}": value for name, value in settings.items()}

    def _get(self, path: str) -> tuple[int, str] | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HTTP_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def _parsed(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) and "message" in found else {"message": line}
