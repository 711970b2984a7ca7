"""Owners: a process that lives, one that is gone, and one nothing can be known of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bridge.mongo.lease_owner import is_dead, this_process
from tests.support.servers.frozen import freeze


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def owner(pid: int) -> dict[str, object]:
    with open(f"/proc/{pid}/stat") as stat:
        return this_process() | {"pid": pid, "start": stat.read().rpartition(")")[2].split()[19]}


def test_this_process_lives() -> None:
    assert this_process()["pid"] == os.getpid()
    assert this_process() == this_process()
    assert not is_dead(this_process())


def test_another_process_lives_until_it_is_gone(child: subprocess.Popen[bytes]) -> None:
    found = owner(child.pid)
    assert not is_dead(found)

    child.kill()
    child.wait()
    assert is_dead(found)


def test_a_process_that_only_waits_to_be_reaped_is_dead(child: subprocess.Popen[bytes]) -> None:
    found = owner(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert is_dead(found)


def test_a_process_that_is_stopped_is_not_dead(child: subprocess.Popen[bytes]) -> None:
    found = owner(child.pid)
    freeze(child.pid)

    assert not is_dead(found)


def test_a_process_that_took_the_number_is_another_one() -> None:
    assert is_dead(this_process() | {"start": "1"})


@pytest.mark.parametrize("host", ["elsewhere", "elsewhere/12345678/1", "", None])
def test_of_another_host_nothing_is_known(host: str | None) -> None:
    assert not is_dead(this_process() | {"host": host, "start": "1"})
