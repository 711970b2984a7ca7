"""Lease owners: running, ended, and on another host."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bridge.model.owner_process import is_dead, this_process
from tests.support.servers.frozen import freeze


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def owner(pid: int) -> dict[str, object]:
    with open(f"/proc/{pid}/stat") as stat:
        return this_process() | {"pid": pid, "start": stat.read().rpartition(")")[2].split()[19]}


def test_this_process_is_not_dead() -> None:
    assert this_process()["pid"] == os.getpid()
    assert this_process() == this_process()
    assert not is_dead(this_process())


def test_another_process_is_dead_after_its_end(child: subprocess.Popen[bytes]) -> None:
    child_owner = owner(child.pid)
    assert not is_dead(child_owner)

    child.kill()
    child.wait()
    assert is_dead(child_owner)


def test_a_zombie_process_is_dead(child: subprocess.Popen[bytes]) -> None:
    child_owner = owner(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert is_dead(child_owner)


def test_a_frozen_process_is_not_dead(child: subprocess.Popen[bytes]) -> None:
    child_owner = owner(child.pid)
    freeze(child.pid)

    assert not is_dead(child_owner)


def test_a_reused_process_number_is_detected() -> None:
    assert is_dead(this_process() | {"start": "1"})


@pytest.mark.parametrize("host", ["elsewhere", "elsewhere/12345678/1", "", None])
def test_a_process_of_another_host_is_not_dead(host: str | None) -> None:
    assert not is_dead(this_process() | {"host": host, "start": "1"})
