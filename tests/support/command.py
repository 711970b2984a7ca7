"""Runs commands of ``job-bridge`` as processes, with their settings in the environment."""

from __future__ import annotations

import atexit
import ctypes
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge.demo.servers.process import LAUNCH, poll
from bridge.settings.names import variable

#: Part of every password in these tests; the output of a command must not contain it.
SECRET = "canary-fEd3"
#: Generous: only a command that hangs reaches it.
COMMAND_SECONDS = 120.0
ROOT = Path(__file__).parents[2]
PR_SET_CHILD_SUBREAPER = 36
PROGRAM = (sys.executable, "-m", "bridge")

#: Settings by ``section.name``, or by the name of an environment variable.
GivenSettings = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EndedCommand:
    """A command that has ended: its exit code and its output."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that explains why the command failed; fails unless there is exactly one."""
        errors = errors_in(self.err)
        assert len(errors) == 1, f"{len(errors)} error lines:\n{self.err}"
        return errors[0]


def by_name(changed: GivenSettings) -> dict[str, str]:
    """Settings given as keyword arguments: ``kafka__topic`` is ``kafka.topic``."""
    return {name.replace("__", "."): value for name, value in changed.items()}


def environment(settings: GivenSettings) -> dict[str, str]:
    """The environment of the tests, which contains no setting, plus ``settings``."""
    given = {variable(name) if "." in name else name: value for name, value in settings.items()}
    return {**os.environ, **given}


def run_command(
    *arguments: str, settings: GivenSettings, answer: str = "", seconds: float = COMMAND_SECONDS
) -> EndedCommand:
    """Run ``job-bridge`` with ``arguments`` to its end, with ``answer`` on its standard input.

    It is a process of its own, forked from one that has done the imports.
    """
    with tempfile.TemporaryDirectory(prefix="command-") as folder:
        files = {name: Path(folder) / name for name in ("in", "out", "err")}
        files["in"].write_text(answer)
        request: dict[str, object] = {name: str(path) for name, path in files.items()}
        request |= {"arguments": list(arguments), "environment": environment(settings)}
        code = warm_program().run(request, seconds)
        ended = EndedCommand(code, files["out"].read_text(), files["err"].read_text())
    assert_clean(ended.out + ended.err)
    return ended


def run_cold_command(*arguments: str, settings: GivenSettings) -> EndedCommand:
    """As :func:`run_command`, with a new interpreter: also proves that the imports work."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        timeout=COMMAND_SECONDS,
        cwd=ROOT,
        check=False,
    )
    assert_clean(done.stdout + done.stderr)
    return EndedCommand(done.returncode, done.stdout, done.stderr)


class WarmProgram:
    """A running :mod:`tests.support.warm_program`, and its socket."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="job-bridge-warm-"))
        self._address = str(self._folder / "socket")
        program = [sys.executable, "-m", "tests.support.warm_program", self._address]
        launch = [sys.executable, "-I", "-S", "-c", LAUNCH, str(os.getpid()), *program]
        self._process = subprocess.Popen(launch, cwd=ROOT, stdin=subprocess.DEVNULL)
        poll(Path(self._address).exists, "the warm program")

    def run(self, request: Mapping[str, object], seconds: float) -> int:
        """Run one command to its end; returns its exit code, negative for a signal."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._address)
            connection.settimeout(seconds)
            with connection.makefile("rw") as file:
                print(json.dumps(request), file=file, flush=True)
                pid = int(file.readline())
                try:
                    return int(file.readline())
                except TimeoutError:
                    os.kill(pid, signal.SIGKILL)
                    raise

    def start(self, request: Mapping[str, object]) -> int:
        """Start one command as a child of this process, in its own session; returns its pid."""
        with socket.socket(socket.AF_UNIX) as connection, _adopting():
            connection.connect(self._address)
            connection.settimeout(COMMAND_SECONDS)
            with connection.makefile("rw") as file:
                print(json.dumps({**request, "owner": os.getpid()}), file=file, flush=True)
                return int(file.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)


@contextmanager
def _adopting() -> Iterator[None]:
    """Let the kernel give this process the descendants whose parents end meanwhile."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0)


@functools.cache
def warm_program() -> WarmProgram:
    """The one of this test process, started when the first command is run."""
    program = WarmProgram()
    atexit.register(program.close)
    return program


def assert_clean(text: str) -> None:
    """Fail if the output of a command contains a traceback or a secret."""
    assert "Traceback" not in text, text
    assert SECRET not in text, text


def errors_in(text: str) -> list[str]:
    """The error lines of the log, failures as JSON, and every line that is not part of the log."""
    lines = [
        json.loads(line) if line.startswith("{") else {"plain": line} for line in text.splitlines()
    ]
    logged = [str(line["message"]) for line in lines if line.get("level") in ("ERROR", "CRITICAL")]
    failures = [
        ". ".join((line["what"], line["meaning"], line["do"])) for line in lines if "what" in line
    ]
    plain = [str(line["plain"]) for line in lines if str(line.get("plain", "")).strip()]
    return logged + failures + plain
