"""``verify.every``: a running bridge reports by itself which transitions the topic is missing."""

from __future__ import annotations

import os
import signal
from datetime import datetime, timezone
from pathlib import Path

from tests.e2e.conftest import MakeBridge
from tests.support.bridge_process import BridgeProcess
from tests.support.job_writer import GOOD, JobWriter
from tests.support.servers.mongo import Client


def test_a_running_bridge_verifies_by_itself(
    jobs: JobWriter, start: MakeBridge, client: Client, database: str
) -> None:
    with start(verify__every="2s", verify__settle_seconds="0") as bridge:
        bridge.wait_ready()
        jobs.add_past(*GOOD, ago=0, every=0)
        bridge.wait_acked(3)
        bridge.wait_for(
            lambda: (bridge.status()["verified"] or {}).get("missing") == 0, "a verification"
        )
        assert bridge.metrics()["job_bridge_verified_missing"] == 0
        # A transition without a change event, with a time before the bridge's start.
        unseen(jobs, bridge)
        bridge.wait_for(
            lambda: (bridge.status()["verified"] or {}).get("missing", 0) > 0, "something missing"
        )
        line = bridge.wait_for_line("The topic is missing")
        assert "'job-bridge verify --repair --from " in line
        until = bridge.metrics()["job_bridge_verified_until_timestamp_seconds"]
        assert datetime.now(timezone.utc).timestamp() - until < 60
        assert bridge.stop() == 0


def test_ctrl_c_ends_the_verification_through_the_bridge(
    jobs: JobWriter, start: MakeBridge
) -> None:
    with start(verify__every="1s", verify__settle_seconds="0") as bridge:
        bridge.wait_ready()
        jobs.add_past(*GOOD, ago=0, every=0)
        groups: dict[int, int] = {}
        bridge.wait_for(
            lambda: bool(groups.update(verifications(bridge)) or groups), "a verification that runs"
        )
        (child,) = groups
        assert bridge.status()["verification"]["seconds"] >= 0
        assert groups[child] == child  # a terminal signals only the bridge's group
        bridge.send_signal(signal.SIGINT)

        assert bridge.wait(30) == 0
        assert not Path(f"/proc/{child}").exists()
        assert not any("verification failed" in line for line in bridge.messages())


def verifications(bridge: BridgeProcess) -> dict[int, int]:
    """The processes in which it verifies at this moment, and the group of each."""
    tasks = Path(f"/proc/{bridge.pid}/task").iterdir()
    children = [int(number) for task in tasks for number in (task / "children").read_text().split()]
    return {
        child: os.getpgid(child)
        for child in children
        if b"verify" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
    }


def unseen(jobs: JobWriter, bridge: BridgeProcess) -> None:
    """Write a transition without a change event: by renaming another collection."""
    database = jobs.collection.database
    hidden = JobWriter(database["hidden"])
    hidden.add_past(*GOOD, ago=-1, every=0)
    acked = bridge.status()["counters"]["acked"]
    database["hidden"].rename("jobs", dropTarget=True)
    jobs.add_past("created", ago=-1)
    bridge.wait_acked(acked + 1)
