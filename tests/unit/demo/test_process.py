"""Child processes: the guarantees when a call returns."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.demo.servers.process import Child, ServerError, poll
from tests.support.servers.frozen import freeze, thaw

#: Says that it runs, then computes, on the one processor it is given and with that priority.
BUSY = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
os.nice(int(sys.argv[2]))
print("busy", flush=True)
while True:
    pass
"""


@contextlib.contextmanager
def busy(folder: Path, processor: int, nice: int) -> Iterator[Child]:
    child = Child(
        [sys.executable, "-c", BUSY, str(processor), str(nice)], folder / f"nice-{nice}.log"
    )
    try:
        child.start()
        poll(lambda: "busy" in child.log_tail(), "a busy process")
        yield child
    finally:
        child.kill()


def state(child: Child) -> str:
    """The letter that ``/proc/PID/stat`` has for it, see proc(5)."""
    return Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_paused_process_stands_still(
    tmp_path: Path,
) -> None:
    """It does so even if it hardly gets any time to stop."""
    processor = min(os.sched_getaffinity(0))
    with busy(tmp_path, processor, 19) as child, busy(tmp_path, processor, 0):
        for _ in range(5):
            assert state(child) != "T"
            freeze(child.pid)
            assert state(child) == "T"
            freeze(child.pid)  # again changes nothing
            assert state(child) == "T"
            thaw(child.pid)


def test_a_process_that_has_ended_cannot_be_paused(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", ""], tmp_path / "log")
    child.start()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises(ServerError, match=f"process {child.pid} ended instead of pausing"):
        freeze(child.pid)
    child.stop()
