"""Programs that run beside a test: children of this process, which end with it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from bridge.demo.servers.process import LAUNCH
from tests.support.command import ROOT, warm_program


class ForkedProcess:
    """A child that the warm program forked, with the interface of ``subprocess.Popen``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._reaping = threading.Lock()

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        with self._reaping:
            if self.returncode is None:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if ended else None
            return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait until it ends; raises ``subprocess.TimeoutExpired``."""
        if self.poll() is None:
            descriptor = os.pidfd_open(self.pid)
            try:
                end = select.poll()
                end.register(descriptor, select.POLLIN)
                end.poll(timeout * 1000)
            finally:
                os.close(descriptor)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Without effect if it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def start_warm(
    arguments: Sequence[str], environment: Mapping[str, str], log_file: Path
) -> ForkedProcess:
    """Start ``job-bridge`` with ``arguments``, its imports done already."""
    log = str(log_file)
    streams = {"in": os.devnull, "out": log, "err": log}
    request = {**streams, "arguments": list(arguments), "environment": dict(environment)}
    return ForkedProcess(warm_program().start(request))


def start_cold(
    command: Sequence[str], environment: Mapping[str, str], log_file: Path
) -> subprocess.Popen[bytes]:
    """Start ``python -m command`` in a new interpreter."""
    bound = [sys.executable, "-I", "-S", "-c", LAUNCH, str(os.getpid())]
    with log_file.open("ab") as log:
        return subprocess.Popen(
            [*bound, sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
