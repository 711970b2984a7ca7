"""The process of an owner, distinct from later processes with its number."""

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
    """Whether ``owner`` is an ended process of this host; False if that is unknown."""
    if owner.get("host") != _host() or not Path("/proc/self/stat").exists():
        return False
    return _start_ticks(owner.get("pid")) != owner.get("start")


def process_text(owner: Mapping[str, Any]) -> str:
    """Return the process of a bridge in words."""
    host = str(owner.get("host")).split("/")[0]
    return f"the bridge with process {owner.get('pid')} on {host}"


def _host() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _start_ticks(pid: object) -> str:
    """Return a process's start in clock ticks; empty if it ended or is a zombie."""
    try:
        # The name in parentheses may contain anything. After it, the state is the first field and
        # the start time the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
