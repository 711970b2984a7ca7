"""``python -m bridge`` without the imports: forks each command from a process that has done them.

A command runs in a process of its own, with its own environment, streams, exit code and normal
interpreter exit. Only the time for the imports is saved, which is most of a short command's time.

``python -m tests.support.warm_program SOCKET``: each connection to the Unix socket sends one
request as a JSON line, and receives the command's process id and its exit code, a line each.

A request with an ``owner`` receives the process id only: the command is then a child of the owner,
which waits for it, in a session of its own, and appends to its output. The owner is the process
that started this program, and a "child subreaper" as prctl(2) calls it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
import time
from importlib import import_module
from typing import IO, Any

from bridge.cli import COMMANDS, main

PR_SET_PDEATHSIG = 1
#: What a running bridge imports when it needs it.
LATER = (
    "bridge.app.process",
    "bridge.kafka.kafka_python.groups",
    "bridge.kafka.kafka_python.probe",
    "bridge.kafka.kafka_python.producer",
    "bridge.kafka.kafka_python.reader",
    "bridge.kafka.kafka_python.topics",
    "bridge.kafka.librdkafka.checkpoints",
    "bridge.kafka.librdkafka.probe",
    "bridge.kafka.librdkafka.reader",
)


def serve(path: str) -> None:
    """Answer requests until killed; returns only in a command's own process."""
    for name in (*(f"bridge.cli.{name.replace('-', '')}" for name in COMMANDS), *LATER):
        import_module(name)
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
        request, handler = json.loads(file.readline()), os.getpid()
        pid = os.fork()
        if pid == 0:
            if "owner" in request:
                _await_adoption(handler, request["owner"], file)
            else:
                _end_with_parent()
            _become(request)
            return
        if "owner" in request:
            os._exit(0)
        print(pid, file=file, flush=True)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(code, file=file, flush=True)
    os._exit(0)


def _await_adoption(handler: int, owner: int, file: IO[str]) -> None:
    """Wait until the handler has ended, which makes this process a child of the owner."""
    os.setsid()
    while (parent := os.getppid()) == handler:
        time.sleep(0.0005)
    _end_with_parent()
    if not parent == os.getppid() == owner:
        os._exit(1)
    print(os.getpid(), file=file, flush=True)


def _become(request: dict[str, Any]) -> None:
    """Take over the streams, the environment and the arguments of the command."""
    write = "a" if "owner" in request else "w"
    for number, (name, mode) in enumerate((("in", "r"), ("out", write), ("err", write))):
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
