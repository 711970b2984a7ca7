"""Runs the commands as people do: as processes, with their settings in the environment."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from bridge.demo.servers.process import poll
from bridge.settings.names import variable

#: Part of every password in these tests: no output of any command may hold it.
SECRET = "canary-fEd3"
DEADLINE_SECONDS = 60.0
ROOT = Path(__file__).parents[2]

Given = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line that says why it ended; there must be exactly one."""
        found = errors_in(self.err)
        assert len(found) == 1, f"{len(found)} lines of complaint:\n{self.err}"
        return found[0]


def environment(settings: Given) -> dict[str, str]:
    """The environment with ``settings``, given as ``section.name``, or by a variable's own name."""
    given = {variable(name) if "." in name else name: value for name, value in settings.items()}
    return {**os.environ, **given}


def command(
    *arguments: str, settings: Given, answer: str = "", deadline: float = DEADLINE_SECONDS
) -> Ended:
    """Run ``job-bridge`` with ``arguments`` to its end, ``answer`` on its standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *arguments],
        env=environment(settings),
        input=answer,
        text=True,
        capture_output=True,
        timeout=deadline,
        cwd=ROOT,
        check=False,
    )
    assert_clean(done.stdout + done.stderr)
    return Ended(done.returncode, done.stdout, done.stderr)


def assert_clean(text: str) -> None:
    """No traceback and no secret in what a command wrote."""
    assert "Traceback" not in text, text
    assert SECRET not in text, text


def errors_in(text: str) -> list[str]:
    """The lines that complain: errors of the log, and what a command says before it has one."""
    lines = [
        json.loads(line) if line.startswith("{") else {"plain": line} for line in text.splitlines()
    ]
    logged = [str(line["message"]) for line in lines if line.get("level") in ("ERROR", "CRITICAL")]
    plain = [str(line["plain"]) for line in lines if str(line.get("plain", "")).strip()]
    return logged + plain


class Bridge:
    """A running ``job-bridge run``; ended when the test ends, its output checked then."""

    def __init__(self, settings: Given, log: Path) -> None:
        self._settings = {"http.port": "0", "log.format": "json", **settings}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._from = 0

    def __enter__(self) -> Bridge:
        self._from = len(self.output())
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "run"],
                env=environment(self._settings),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if error is None:
            assert_clean(self.output())
        else:
            error.add_note(self.output()[-5000:])

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def url(self) -> str:
        """Where it serves HTTP, once it has said so."""
        self.await_line("status at ")
        found = re.search(r"status at (http://\S+)", " ".join(self.messages()))
        assert found
        return found[1]

    def output(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def lines(self) -> list[dict[str, Any]]:
        """Every whole line of the log since this start."""
        whole = self.output()[self._from :].rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def messages(self) -> list[str]:
        return [str(line["message"]) for line in self.lines()]

    def await_line(self, words: str) -> str:
        """Wait for a line of the log with ``words``, and return it."""
        self.wait_until(
            lambda: any(words in line for line in self.messages()), f"a line with '{words}'"
        )
        return next(line for line in self.messages() if words in line)

    def wait_until(
        self, condition: Callable[[], bool], what: str, deadline: float = DEADLINE_SECONDS
    ) -> None:
        """Poll ``condition``; fails at once when the bridge has ended."""

        def met() -> bool:
            ended = self.process.poll() is not None
            try:
                if condition():
                    return True
            except OSError:  # it is just going
                pass
            assert not ended, f"the bridge ended with {self.process.returncode}, before {what}"
            return False

        poll(met, what, deadline)

    def get(self, path: str) -> tuple[int, str]:
        """Status code and body of a page."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/status.json")[1])
        return found

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name and labels."""
        lines = [
            line
            for line in self.get("/metrics")[1].splitlines()
            if line and not line.startswith("#")
        ]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def await_ready(self) -> Bridge:
        self.wait_until(self.ready, "ready")
        return self

    def await_unready(self, words: str, deadline: float = DEADLINE_SECONDS) -> str:
        """Wait until it says with ``words`` why it is not ready, and return the whole reason."""

        def said() -> bool:
            code, text = self.get("/readyz")
            return code == 503 and words in text

        self.wait_until(said, f"not ready for '{words}'", deadline)
        return self.get("/readyz")[1]

    def await_acked(self, count: int) -> Bridge:
        """Wait until Kafka has acknowledged ``count`` messages, dead letters included."""
        self.wait_until(
            lambda: self.status()["counters"]["acked"] >= count, f"{count} acknowledged"
        )
        return self

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_SECONDS)

    def ended(self, deadline: float = DEADLINE_SECONDS) -> Ended:
        """Wait until it ends by itself."""
        code = self.process.wait(deadline)
        assert_clean(self.output())
        return Ended(code, "", self.output()[self._from :])
