"""CPU time and memory of a process, as the Linux kernel counts them."""

import os
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads so far."""
    return cpu_in(Path(f"/proc/{pid}/stat").read_text())


def cpu_in(stat: str) -> float:
    """User and system time in seconds, from the content of a ``stat`` file (proc(5))."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def peak_megabytes(pid: int) -> float:
    """The largest resident size so far.

    Raises:
        OSError: the process has ended, whether its parent has collected it or not.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    line = next((line for line in status.splitlines() if line.startswith("VmHWM")), "")
    if not line:
        raise ProcessLookupError(f"process {pid} has ended")
    return int(line.split()[1]) / 1024
