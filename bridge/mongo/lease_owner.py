"""Who owns a checkpoint: a process, told apart from one that took its number later."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
    """``{host, pid, start}`` of this process.

    ``host`` also names the boot and the process namespace where the system tells them: a process
    number means nothing in another container.
    """
    pid = os.getpid()
    return {"host": _host(), "pid": pid, "start": _started(pid)}


def is_dead(owner: Mapping[str, Any]) -> bool:
    """Whether ``owner`` was a process of this very host and is gone; False when that cannot be known."""
    if owner.get("host") != _host() or not Path("/proc/self/stat").exists():
        return False
    return _started(int(owner["pid"])) != owner.get("start")


def _host() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _started(pid: int) -> str:
    """When a process started, in the system's ticks; empty when it is gone or only waits to be reaped."""
    try:
        # The name in parentheses may hold anything; state is the first field after it, start the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
