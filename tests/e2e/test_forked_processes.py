"""A bridge that a test forks from a process with the imports done is like one of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.demo.servers.process import poll
from tests.support.child_process import start_warm
from tests.support.command import ROOT, environment

RUN = ("run",)
#: Nothing listens there, so the bridge starts and tries again.
AWAY = environment({"mongo.uri": "mongodb://127.0.0.1:1/?directConnection=true"})
OWNER = """
import sys, time
from pathlib import Path
from tests.e2e.test_forked_processes import AWAY, RUN
from tests.support.child_process import start_warm
print(start_warm(RUN, AWAY, Path(sys.argv[1])).pid, flush=True)
time.sleep(60)
"""


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_it_is_a_child_in_its_own_session(tmp_path: Path) -> None:
    bridge = start_warm(RUN, AWAY, tmp_path / "log")

    assert parent_of(bridge.pid) == os.getpid()
    assert os.getsid(bridge.pid) == os.getpgid(bridge.pid) == bridge.pid
    assert bridge.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        bridge.wait(0.01)
    bridge.send_signal(signal.SIGKILL)
    assert bridge.wait(30) == -signal.SIGKILL == bridge.poll()
    bridge.send_signal(signal.SIGKILL)


def test_it_appends_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for _ in range(2):
        assert start_warm(("config", "runbook", "64"), AWAY, log).wait(30) == 0
        assert start_warm(("run", "--wrong"), AWAY, log).wait(30) == 64

    assert log.read_text().count("No such option '--wrong'") == 2


def test_it_dies_with_its_owner(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "log")], cwd=ROOT, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert parent_of(pid) == owner.pid
        owner.kill()

    poll(lambda: not _runs(pid), "the end of the bridge", 10)


def _runs(pid: int) -> bool:
    """Whether it is there and has not ended; this process may be the one that must reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
