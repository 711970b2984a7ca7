"""``python -m bridge`` without the imports: forks each command from a process that has done them.

A command runs in a process of its own, with its own environment, streams, exit code and normal
interpreter exit. Only the time for the imports is saved, which is most of a short command's time.

``python -m tests.support.warm_program SOCKET``: each connection to the Unix socket sends one
request as a JSON line, and receives the command's process id and its exit code, a line each.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from importlib import import_module
from typing import Any

from bridge.cli import COMMANDS, main

PR_SET_PDEATHSIG = 1


def serve(path: str) -> None:
    """Answer requests until killed; returns only in a command's own process."""
    for name in COMMANDS:
        import_module(f"bridge.cli.{name.replace('-', '')}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the handlers
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}.new")
        listener.listen(64)
        os.rename(f"{path}.new", path)  # who finds the file can connect
        while True:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    _end_with_parent()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    listener.close()
                    _handle(connection)
                    return


def _handle(connection: socket.socket) -> None:
    """Run one command and report how it ends; returns only in the command's own process."""
    with connection.makefile("rw") as file:
        request = json.loads(file.readline())
        pid = os.fork()
        if pid == 0:
            _end_with_parent()
            _become(request)
            return
        print(pid, file=file, flush=True)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(code, file=file, flush=True)
    os._exit(0)


def _become(request: dict[str, Any]) -> None:
    """Take over the streams, the environment and the arguments of the command."""
    for number, (name, mode) in enumerate((("in", "r"), ("out", "w"), ("err", "w"))):
        with open(request[name], mode) as stream:
            os.dup2(stream.fileno(), number)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["job-bridge", *request["arguments"]]


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    serve(sys.argv[1])
    main()
