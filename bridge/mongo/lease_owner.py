"""The owner of a lease: a process, distinguishable from a later one with the same number."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
    """Return ``{host, pid, start}`` of this process.

    Where the system reveals them, ``host`` also contains the boot and the process namespace,
    because another container may have a process with the same number.
    """
    pid = os.getpid()
    return {"host": _host(), "pid": pid, "start": _start_ticks(pid)}


def is_dead(owner: Mapping[str, Any]) -> bool:
    """Whether ``owner`` was a process of this host that has ended; False if that is unknown."""
    if owner.get("host") != _host() or not Path("/proc/self/stat").exists():
        return False
    return _start_ticks(int(owner["pid"])) != owner.get("start")


def _host() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _start_ticks(pid: int) -> str:
    """Return when a process started, in clock ticks; empty for an ended or a zombie process."""
    try:
        # The name in parentheses may contain anything. After it, the state is the first field and
        # the start time the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
