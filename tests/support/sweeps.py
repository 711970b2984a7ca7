"""Sweeps, and the tag of jobs they look for."""

from __future__ import annotations

from tests.support.running import Given, command

TAG = "to_notify"


def swept(settings: Given) -> int:
    """One sweep; how many messages it sent."""
    ended = command("sweep", "--once", settings=settings)
    assert ended.code == 0, ended.err
    assert ended.out.endswith("messages sent\n")
    return int(ended.out.split()[0])
