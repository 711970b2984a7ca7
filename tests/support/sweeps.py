"""Runs sweeps, and names the tag of jobs that they look for."""

from __future__ import annotations

from tests.support.command import GivenSettings, run_command

TAG = "to_notify"


def sweep_once(settings: GivenSettings) -> int:
    """Run one sweep; returns the number of messages it sent."""
    ended = run_command("sweep", "--once", settings=settings)
    assert ended.code == 0, ended.err
    assert ended.out.endswith("messages sent\n")
    return int(ended.out.split()[0])
