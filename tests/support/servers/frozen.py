"""Freezes processes: connections stay open and nothing answers."""

from __future__ import annotations

import os
import signal

from bridge.demo.servers.process import ServerError


def freeze(pid: int) -> None:
    """Stop a child process and wait until it stands still; its threads run on for milliseconds.

    Raises ``ServerError`` when it has ended.
    """
    os.kill(pid, signal.SIGSTOP)
    await_frozen(pid)


def await_frozen(pid: int) -> None:
    """Wait until a child process stands still; raises ``ServerError`` when it has ended."""
    # WNOWAIT leaves the state for the next wait: a stop for the next freeze, an end for the owner.
    status = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    if status is None or status.si_code != os.CLD_STOPPED:
        raise ServerError(f"process {pid} ended instead of pausing")


def thaw(pid: int) -> None:
    """Let a frozen process run again."""
    os.kill(pid, signal.SIGCONT)
